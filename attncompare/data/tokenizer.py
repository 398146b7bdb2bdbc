"""Text to ids and back: word, character and byte-level BPE tokenizers (Sennrich et al. 2016).

All three are lossless: the tokens of a text, joined, are the text. Words and BPE pieces carry the space before them.
"""

import os
from collections.abc import Iterable, Sequence
from itertools import takewhile
from typing import Any, NamedTuple

from tokenizers import Regex, decoders, models, pre_tokenizers, trainers
from tokenizers import Tokenizer as Backend

from attncompare.config import TokenizerConfig
from attncompare.data.byte_alphabet import bytes_of, readable
from attncompare.data.tokenizer_file import checked_tokenizer
from attncompare.errors import Refused

PAD, UNK, BOS, EOS = range(4)
SPECIALS = ("<pad>", "<unk>", "<bos>", "<eos>")

_PATTERNS = {
    "word": r" ?\w+| ?[^\w\s]|\s",
    "character": r"[\s\S]",
    # Letters, numbers by at most two digits (days, hours and minutes stay whole, long numbers stay composed),
    # punctuation, space.
    "bpe": r" ?[\p{L}\p{M}]+| ?\p{N}{1,2}| ?[^\s\p{L}\p{M}\p{N}]+|\s+(?!\S)|\s+",
}
_MANY = 2**20  # tokens
_SMALLEST = {"word": len(SPECIALS) + 1, "character": len(SPECIALS) + 1, "bpe": len(SPECIALS) + 256}


class Encoded(NamedTuple):
    """The tokens of one text: their ids, and for each the half-open range of characters that it stands for."""

    ids: list[int]
    offsets: list[tuple[int, int]]


class Tokenizer:
    """A trained vocabulary. The ids 0 to 3 are PAD, UNK, BOS and EOS; no text ever encodes to PAD, BOS or EOS."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._backend.encode_special_tokens = True  # "<bos>" in a text is five characters, not BOS
        self._bpe = isinstance(backend.model, models.BPE)

    @classmethod
    def train(cls, texts: Iterable[str], config: TokenizerConfig) -> "Tokenizer":
        """Learn a vocabulary from ``texts``, the train split; the same texts give the same ids.

        Args:
            texts: taken one by one, and a second time where a vocabulary of more than a million is asked for.
            config: the kind and its size.

        Raises:
            Refused: if ``config.vocab_size`` is more than the texts can give, or less than the kind needs.
        """
        kind, asked = config.kind, config.vocab_size
        if asked is not None and asked < _SMALLEST[kind]:
            raise Refused(f"data.tokenizer.vocab_size={asked} is too small; a {kind} tokenizer needs {_SMALLEST[kind]}")
        backend = _blank(kind)
        backend.train_from_iterator(iter(texts), _trainer(config, _room(texts, asked, _SMALLEST[kind])))
        got = backend.get_vocab_size()
        if asked is not None and got < asked:
            raise Refused(
                f"data.tokenizer.vocab_size={asked} is more than the train split gives; "
                f"valid: at most {got} (kind={kind}, min_count={config.min_count})"
            )
        return cls(backend)

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
        if self._bpe:
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
        text = checked_tokenizer(content, os.fspath(path), map(_blank, _PATTERNS), SPECIALS)
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
        text = readable(bytes_of(token)) if self._bpe else token
        return text.replace(" ", "▁").replace("\n", "⏎").replace("\t", "⇥")


def _blank(kind: str) -> Backend:
    split = pre_tokenizers.Split(Regex(_PATTERNS[kind]), "isolated")
    if kind == "bpe":
        backend = Backend(models.BPE())
        byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        backend.pre_tokenizer = pre_tokenizers.Sequence([split, byte_level])
        backend.decoder = decoders.ByteLevel()
    else:
        backend = Backend(models.WordLevel(unk_token=SPECIALS[UNK]))
        backend.pre_tokenizer = split
        backend.decoder = decoders.Fuse()
    return backend


def _room(texts: Iterable[str], asked: int | None, smallest: int) -> int:
    """Return how many tokens to make room for: the library reserves it at once, whatever the texts can give."""
    if asked is None or asked <= _MANY:
        return asked or _MANY
    if iter(texts) is texts:
        raise TypeError("texts that can be taken once alone do not say how large a vocabulary they can give")
    return min(asked, smallest + sum(len(text.encode()) for text in texts))


def _trainer(config: TokenizerConfig, vocab_size: int) -> trainers.Trainer:
    # bpe: a merge seen less often than min_count is not made
    common: dict[str, Any] = {"min_frequency": config.min_count, "show_progress": False}
    if config.kind == "bpe":
        common["initial_alphabet"] = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer if config.kind == "bpe" else trainers.WordLevelTrainer
    return trainer(vocab_size=vocab_size, special_tokens=list(SPECIALS), **common)
