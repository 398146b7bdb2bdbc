"""Text to ids and back: words, characters, and pieces of words by byte-pair encoding (Sennrich et al. 2016) or by a
unigram language model (Kudo 2018).

All are lossless: the tokens of a text, joined, are the text. Words and pieces carry the space before them.
"""

import os
from collections.abc import Iterable, Sequence
from itertools import takewhile
from typing import NamedTuple

from tokenizers import Tokenizer as Backend
from tokenizers import decoders

from attncompare.config import TokenizerConfig
from attncompare.data.byte_alphabet import bytes_of, readable
from attncompare.data.tokenizer_file import checked_tokenizer
from attncompare.data.vocabulary import BOS, EOS, PAD, SPECIALS, UNK, all_blanks, trained
from attncompare.errors import Refused

__all__ = ["BOS", "EOS", "PAD", "SPECIALS", "UNK", "Encoded", "Tokenizer"]


class Encoded(NamedTuple):
    """The tokens of one text: their ids, and for each the half-open range of characters that it stands for."""

    ids: list[int]
    offsets: list[tuple[int, int]]


class Tokenizer:
    """A trained vocabulary. The ids 0 to 3 are PAD, UNK, BOS and EOS; no text ever encodes to PAD, BOS or EOS."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._backend.encode_special_tokens = True  # "<bos>" in a text is five characters, not BOS
        self._byte_level = isinstance(backend.decoder, decoders.ByteLevel)

    @classmethod
    def train(cls, texts: Iterable[str], config: TokenizerConfig, whose: str = "the train split") -> "Tokenizer":
        """Learn a vocabulary from ``texts``; the same texts give the same ids.

        Args:
            texts: what it is learned from, taken one by one and more than once.
            config: the kind and its size.
            whose: what the texts are, for messages.

        Raises:
            Refused: if ``config.vocab_size`` is more than the texts can give, or less than the kind needs.
        """
        if iter(texts) is texts:
            raise TypeError("texts that can be taken once alone: give a list, or something else to begin anew with")
        return cls(trained(texts, config, whose))

    @property
    def vocab_size(self) -> int:
        """The number of ids, special ones included."""
        return self._backend.get_vocab_size()

    def encode(self, text: str) -> Encoded:
        """Return the tokens of ``text``; no special tokens are added."""
        encoding = self._backend.encode(text)
        return Encoded(encoding.ids, encoding.offsets)

    def encode_batch(self, texts: Sequence[str]) -> list[Encoded]:
        """Return the tokens of each text."""
        return [Encoded(encoding.ids, encoding.offsets) for encoding in self._backend.encode_batch(list(texts))]

    def encode_ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the ids of each text alone."""
        return [encoding.ids for encoding in self._backend.encode_batch_fast(list(texts))]

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of ``ids`` up to the first EOS, without specials; known text comes back as it was."""
        tokens = [self._token(i) for i in takewhile(lambda i: i != EOS, ids) if i >= len(SPECIALS)]
        if self._byte_level:
            return b"".join(bytes_of(token) for token in tokens).decode("utf-8", errors="replace")
        return "".join(tokens)

    def labels(self, ids: Sequence[int]) -> list[str]:
        """Return a readable name for each token: space ``▁``, line end ``⏎``, a byte that is no character ``⟨E2⟩``."""
        return [self._label(i) for i in ids]

    def to_text(self) -> str:
        """Return the tokenizer as JSON, which :meth:`parse` reads."""
        return self._backend.to_str(pretty=True)

    @classmethod
    def parse(cls, content: bytes, path: str | os.PathLike[str]) -> "Tokenizer":
        """Return the tokenizer in ``content``, :meth:`to_text` as it stands in the file ``path``.

        Raises:
            Refused: if it is damaged, or holds anything but what attncompare writes.
        """
        text = checked_tokenizer(content, os.fspath(path), all_blanks(), SPECIALS)
        try:
            return cls(Backend.from_str(text))
        except Exception as error:  # the library raises bare Exception
            reason = str(error).splitlines()[0]
            raise Refused(f"{os.fspath(path)}: not a tokenizer written by attncompare: {reason}") from None

    def _token(self, token_id: int) -> str:
        token = self._backend.id_to_token(int(token_id))
        if token is None:
            raise ValueError(f"id {token_id} is not in the vocabulary of {self.vocab_size}")
        return token

    def _label(self, token_id: int) -> str:
        token = self._token(token_id)
        if token_id < len(SPECIALS):
            return token
        text = readable(bytes_of(token)) if self._byte_level else token
        return text.replace(" ", "▁").replace("\n", "⏎").replace("\t", "⇥")
