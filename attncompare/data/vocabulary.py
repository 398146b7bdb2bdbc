"""How each kind of tokenizer cuts text, and how it learns its vocabulary.

A pre-token (a word, a number, punctuation, each with the space before it) is cut further by ``bpe`` and ``unigram``, into
pieces of bytes (nothing is unknown then) or of characters.
"""

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

import numpy as np
from tokenizers import Regex, decoders, models, pre_tokenizers, trainers
from tokenizers import Tokenizer as Backend

from attncompare.config import TokenizerConfig
from attncompare.data.pieces import at_a_time
from attncompare.data.unigram import LONGEST, train_unigram
from attncompare.errors import Refused

PAD, UNK, BOS, EOS = range(4)
SPECIALS = ("<pad>", "<unk>", "<bos>", "<eos>")

# Letters, numbers by at most two digits (days, hours and minutes stay whole, long numbers stay composed), punctuation,
# space.
_PIECES = r" ?[\p{L}\p{M}]+| ?\p{N}{1,2}| ?[^\s\p{L}\p{M}\p{N}]+|\s+(?!\S)|\s+"
_PATTERNS = {"word": r" ?\w+| ?[^\w\s]|\s", "character": r"[\s\S]", "bpe": _PIECES, "unigram": _PIECES}
_MANY = 2**20  # tokens
_MOST_WORDS = 100_000  # that a unigram vocabulary is learned from


def blank(kind: str, byte_level: bool) -> Backend:
    """Return a tokenizer without a vocabulary."""
    split = pre_tokenizers.Split(Regex(_PATTERNS[kind]), "isolated")
    unknown = SPECIALS[UNK]
    model: Any
    if kind == "unigram":
        model = models.Unigram([(special, 0.0) for special in SPECIALS], UNK, byte_fallback=False)
    elif kind == "bpe":
        model = models.BPE() if byte_level else models.BPE(unk_token=unknown)
    else:
        model = models.WordLevel(unk_token=unknown)
    backend = Backend(model)
    byte_pieces = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.pre_tokenizer = pre_tokenizers.Sequence([split, byte_pieces]) if byte_level else split
    backend.decoder = decoders.ByteLevel() if byte_level else decoders.Fuse()
    return backend


def all_blanks() -> Iterator[Backend]:
    """Yield a tokenizer without a vocabulary for each way of cutting that there is."""
    for kind in _PATTERNS:
        for byte_level in (True, False) if kind in ("bpe", "unigram") else (False,):
            yield blank(kind, byte_level)


def trained(texts: Iterable[str], config: TokenizerConfig, whose: str) -> Backend:
    """Return a tokenizer with a vocabulary learned from ``texts``.

    Args:
        texts: taken more than once.
        config: the kind and its size.
        whose: what the texts are, for messages.

    Raises:
        Refused: if ``config.vocab_size`` is more than the texts can give, or less than the kind needs.
    """
    kind, asked = config.kind, config.vocab_size
    smallest = len(SPECIALS) + (256 if config.byte_level else 1)
    if asked is not None and asked < smallest:
        raise Refused(f"data.tokenizer.vocab_size={asked} is too small; a {kind} tokenizer needs {smallest}")
    room = _room(texts, asked, smallest)
    backend = _unigram(texts, config, room) if kind == "unigram" else _counted(texts, config, room)
    got = backend.get_vocab_size()
    if asked is not None and got < asked:
        raise Refused(
            f"data.tokenizer.vocab_size={asked} is more than {whose} gives; "
            f"valid: at most {got} (kind={kind}, min_count={config.min_count})"
        )
    if asked is not None and got > asked:
        raise Refused(
            f"data.tokenizer.vocab_size={asked} is too small; with bytes=false each of the characters of {whose} needs a "
            f"token of its own: at least {got}"
        )
    return backend


def _counted(texts: Iterable[str], config: TokenizerConfig, room: int) -> Backend:
    """Train a tokenizer whose vocabulary follows from counts; for bpe (Sennrich et al. 2016) from counts of merges."""
    backend = blank(config.kind, config.byte_level)
    trainer = trainers.BpeTrainer if config.kind == "bpe" else trainers.WordLevelTrainer
    own: dict[str, Any] = {"initial_alphabet": pre_tokenizers.ByteLevel.alphabet()} if config.byte_level else {}
    backend.train_from_iterator(iter(texts), trainer(**_common(room), min_frequency=config.min_count, **own))
    return backend


def _unigram(texts: Iterable[str], config: TokenizerConfig, room: int) -> Backend:
    words, counts = _words(texts, config)
    alphabet = pre_tokenizers.ByteLevel.alphabet() if config.byte_level else []
    pieces = train_unigram(words, counts, alphabet, room - len(SPECIALS), config.min_count)
    backend = blank(config.kind, config.byte_level)
    backend.model = models.Unigram([*((special, 0.0) for special in SPECIALS), *pieces], UNK, byte_fallback=False)
    backend.add_special_tokens(list(SPECIALS))
    return backend


def _words(texts: Iterable[str], config: TokenizerConfig) -> tuple[list[str], np.ndarray]:
    """Return the commonest pre-tokens and how often each comes; a long one in parts."""
    counter = blank(config.kind, config.byte_level)
    counter.model = models.WordLevel(unk_token=SPECIALS[UNK])
    counter.train_from_iterator(iter(texts), trainers.WordLevelTrainer(**_common(_MOST_WORDS)))
    seen = np.zeros(counter.get_vocab_size(), dtype=np.int64)
    for portion in at_a_time(texts):
        ids = chain.from_iterable(encoding.ids for encoding in counter.encode_batch_fast(portion))
        seen += np.bincount(np.fromiter(ids, dtype=np.int64), minlength=len(seen))
    counts: dict[str, int] = {}
    for number in range(len(SPECIALS), len(seen)):
        word = str(counter.id_to_token(number))
        for part in (word[start : start + LONGEST] for start in range(0, len(word), LONGEST)):
            counts[part] = counts.get(part, 0) + int(seen[number])
    return list(counts), np.array(list(counts.values()), dtype=np.int64)


def _common(room: int) -> dict[str, Any]:
    return {"vocab_size": room, "special_tokens": list(SPECIALS), "show_progress": False}


def _room(texts: Iterable[str], asked: int | None, smallest: int) -> int:
    """Return how many tokens to make room for: the library reserves it at once, whatever the texts can give."""
    if asked is None or asked <= _MANY:
        return asked or _MANY
    return min(asked, smallest + sum(len(text.encode()) for text in texts))
