"""Text to ids and back: words, characters, and pieces of words by byte-pair encoding (Sennrich et al. 2016) or by a
unigram language model (Kudo 2018), by the library ``tokenizers``; its unigram trainer alone is replaced, because it adds
floating-point numbers in the order of a hash table, so that two trainings give two vocabularies.

All are lossless: the tokens of a text, joined, are the text. A pre-token is a word, a number or punctuation with the space
before it; ``bpe`` and ``unigram`` cut it into pieces of bytes (nothing is unknown then) or of characters.
"""

import json
import math
import os
import re
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate, chain, islice, pairwise, takewhile
from typing import Any, NamedTuple

import numpy as np
from tokenizers import Regex, decoders, models, pre_tokenizers, trainers
from tokenizers import Tokenizer as Backend

from attncompare.config.plain_values import safe_json
from attncompare.data.cache import portions
from attncompare.data.dataset import TokenizerConfig
from attncompare.errors import Refused

PAD, UNK, BOS, EOS = range(4)
SPECIALS = ("<pad>", "<unk>", "<bos>", "<eos>")
MASK = "<mask>"
"""The token of a task that hides others (:meth:`Tokenizer.with_specials`)."""
_OF_ALL, _OF_A_TASK = slice(len(SPECIALS)), slice(len(SPECIALS), None)
_ADDED = re.compile("<[a-z]{1,20}>")
Offset = tuple[int, int]
Texts = Callable[[], Iterable[str]]

# Letters, numbers by at most two digits (days, hours and minutes stay whole, long numbers stay composed), punctuation,
# space.
_PIECES = r" ?[\p{L}\p{M}]+| ?\p{N}{1,2}| ?[^\s\p{L}\p{M}\p{N}]+|\s+(?!\S)|\s+"
_NAME = "name"  # a text is one token: the names of labels
_PATTERNS = {
    "word": r" ?\w+| ?[^\w\s]|\s",
    "character": r"[\s\S]",
    "bpe": _PIECES,
    "unigram": _PIECES,
    _NAME: r"[\s\S]+",
}
_KINDS = (
    (_NAME, False),
    ("word", False),
    ("character", False),
    ("bpe", True),
    ("bpe", False),
    ("unigram", True),
    ("unigram", False),
)
_MANY = 2**20  # tokens
_MOST_WORDS = 100_000  # that a unigram vocabulary is learned from
_MOST_SEEN = 50_000  # words that are remembered: about half a megabyte
_RARE = 0.75  # the share of different ones among words from which on a new word is nothing special
_SEGMENT = 2**22  # characters of text whose words are counted together
_MOST_LETTERS = 2**22  # of different words; with more, the rarest are forgotten until half is left
_MOST_SEEDS = 2**20  # pieces that are counted at a time; with more, those that cover least are forgotten
_REPEATED = 2**15  # characters in which a word is repeated
_LARGEST = 64 * 2**20  # bytes of a tokenizer's file: some million tokens
_LONGEST = 24  # characters of a word that are looked at together; with more, its probability could leave floating point
_LONGEST_PIECE = 16  # characters
_SEEDS = 10  # times as many pieces as are asked for to begin with
_ROUNDS = 2  # of expectation and maximization before each pruning
_SHARE = 0.75  # of the pieces that stay at each pruning
_SPARE = 1.1  # times as many as asked for at the last pruning
_FLOOR = 1e-3  # times that a piece is held to be seen at least, so that each stays possible
_TINY = np.finfo(np.float64).tiny
# The 256 characters by which byte-level vocabularies write bytes (Radford et al. 2019): printable bytes stand for
# themselves; the others, in order, for the characters from U+0100 on.
_PRINTABLE = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
_UNPRINTABLE = [byte for byte in range(256) if byte not in _PRINTABLE]
_BYTE = {chr(byte): byte for byte in _PRINTABLE} | {chr(256 + i): byte for i, byte in enumerate(_UNPRINTABLE)}


class Encoded(NamedTuple):
    """The tokens of one text: their ids, and for each the half-open range of characters that it stands for."""

    ids: list[int]
    offsets: list[Offset]


class Tokenizer:
    """A trained vocabulary. The ids 0 to 3 are PAD, UNK, BOS and EOS, the last may be tokens of a task; no text ever encodes
    to any of these but UNK.


    ``seen`` holds the words of the texts that it was trained on (:meth:`words`), None where they are too many, hardly ever
    come again, as where no space parts them, or are not at hand.
    """

    def __init__(self, backend: Backend, seen: frozenset[str] | None = None) -> None:
        self._backend, self.seen = backend, seen
        self._backend.encode_special_tokens = True  # "<bos>" in a text is five characters, not BOS
        self._byte_level = isinstance(backend.decoder, decoders.ByteLevel)

    @classmethod
    def train(cls, texts: Texts, config: TokenizerConfig, whose: str = "the train split") -> "Tokenizer":
        """Learn a vocabulary from the texts that each call of ``texts`` begins anew; the same texts give the same ids.

        It has ``config.vocab_size`` tokens, or as many as the texts give where those are fewer. Refused if that is less than
        the kind needs for them; ``whose`` they are is for the message.
        """
        kind, asked = config.kind, config.vocab_size
        smallest = len(SPECIALS) + (256 if config.byte_level else 1)
        if asked is not None and asked < smallest:
            raise Refused(f"data.tokenizer.vocab_size={asked} is too small; a {kind} tokenizer needs {smallest}")
        room = asked or _MANY
        if room > _MANY:  # the library reserves room at once, whatever the texts can give
            room = min(room, smallest + sum(len(text.encode()) for text in texts()))
        learn = {"unigram": _unigram, "bpe": _bpe}.get(kind, _commonest)
        counts = _counts(texts(), config)
        backend = learn(counts, config, room)
        got = backend.get_vocab_size()
        if asked is not None and got > asked:
            raise Refused(
                f"data.tokenizer.vocab_size={asked} is too small; with bytes=false each of the characters of {whose} needs "
                f"a token of its own: at least {got}"
            )
        return cls(backend, None if kind == "character" else _seen(counts, config.byte_level))

    @classmethod
    def of_names(cls, names: Iterable[str]) -> "Tokenizer":
        """Return a vocabulary of whole texts, such as labels, each of which is one token; the first has the id 4."""
        return cls(_words(_NAME, False, [*SPECIALS, *names]))

    @property
    def names(self) -> list[str]:
        """All tokens but the special ones, in the order of their ids."""
        return [self._token(i) for i in range(len(SPECIALS), self.vocab_size)]

    def with_specials(self, names: Sequence[str]) -> "Tokenizer":
        """Return a tokenizer with further tokens behind all others, such as ``<mask>``, to which no text ever encodes."""
        if not names:
            return self
        backend = Backend.from_str(self._backend.to_str())
        backend.add_special_tokens(list(names))
        return Tokenizer(backend)

    def special(self, name: str) -> int:
        """Return the id of a token that :meth:`with_specials` added."""
        number = self._backend.token_to_id(name)
        if number is None:
            raise ValueError(f"{name} is no token of the vocabulary")
        return int(number)

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
        """Return the ids of each text alone, which is faster."""
        return [encoding.ids for encoding in self._backend.encode_batch_fast(list(texts))]

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of ``ids`` up to the first EOS, without specials; known text comes back as it was."""
        tokens = [self._token(i) for i in takewhile(lambda i: i != EOS, ids) if i >= len(SPECIALS)]
        if self._byte_level:
            return b"".join(map(_bytes_of, tokens)).decode("utf-8", errors="replace")
        return "".join(tokens)

    def words(self, text: str) -> list[str]:
        """Return the words in ``text``, each once: what no token crosses, without the space before it, if it has letters."""
        places = (place for _, place in self._backend.pre_tokenizer.pre_tokenize_str(text))
        return list(dict.fromkeys(filter(_has_letters, (text[slice(*place)].strip() for place in places))))

    def unknown(self, text: str) -> list[str]:
        """Return what in ``text`` is read as UNK, each once."""
        encoded = self.encode(text)
        found = (text[slice(*place)].strip() for i, place in zip(*encoded, strict=True) if i == UNK)
        return list(dict.fromkeys(filter(None, found)))

    def labels(self, ids: Sequence[int], text: str = "") -> list[str]:
        """Return a readable name for each token: space ``▁``, line end ``⏎``, a byte that is no character ``⟨E2⟩``.

        An unknown token is ``<unk>``, followed by what it stands for in ``text`` if that is what was encoded.
        """
        encoded = self.encode(text)
        unknown = (text[slice(*at)] for i, at in zip(encoded.ids, encoded.offsets, strict=True) if i == UNK)
        labels = []
        for i in ids:
            token = self._token(i) + (next(unknown, "") if i == UNK else "")
            if self._byte_level and i >= len(SPECIALS):
                text = _bytes_of(token).decode(errors="surrogateescape")
                token = "".join(f"⟨{ord(c) - 0xDC00:02X}⟩" if 0xDC80 <= ord(c) <= 0xDCFF else c for c in text)
            labels.append(token.replace(" ", "▁").replace("\n", "⏎").replace("\t", "⇥"))
        return labels

    def to_text(self) -> str:
        """Return the tokenizer as JSON, which :meth:`parse` reads."""
        return self._backend.to_str(pretty=True)

    @classmethod
    def parse(cls, content: bytes, path: str | os.PathLike[str]) -> "Tokenizer":
        """Return the tokenizer in ``content``, :meth:`to_text` as it stands in the file ``path``, or refuse it.

        A file brings a vocabulary and nothing else. The library's format can name normalizers, regular expressions and
        templates, each a way to make a reader hang or to change texts unseen; how texts are cut is code.
        """
        what = f"{os.fspath(path)}: not a tokenizer written by attncompare"
        if len(content) > _LARGEST:
            raise Refused(f"{what}: {len(content)} bytes; at most {_LARGEST} are read")
        values = safe_json(content, os.fspath(path))
        try:
            # Tokens that a task added are made anew from their names.
            values["added_tokens"], added = (values["added_tokens"][part] for part in (_OF_ALL, _OF_A_TASK))
            names = [one["content"] for one in added]
            vocab, rest = _by_token(values["model"]["vocab"]), _without_vocabulary(values)
            blanks = [_blank(*kind) for kind in _KINDS]
            for blank in blanks:
                blank.add_special_tokens(list(SPECIALS))
            if rest not in [_without_vocabulary(json.loads(blank.to_str())) for blank in blanks]:
                raise ValueError("it holds more than a vocabulary")
            if sorted(vocab.values()) != list(range(len(vocab))) or not all(type(i) is int for i in vocab.values()):
                raise ValueError("its ids are not 0, 1, 2, ...")
            if [vocab.get(special) for special in SPECIALS] != list(range(len(SPECIALS))):
                raise ValueError(f"ids 0-3 are not {SPECIALS}")
            if rest["decoder"]["type"] == "ByteLevel" and not _BYTE.keys() >= set("".join(vocab.keys() - {*SPECIALS})):
                raise ValueError("its pieces are no bytes")
            if not all(_ADDED.fullmatch(name) and name not in vocab for name in names) or len({*names}) < len(names):
                raise ValueError("it has added tokens that are no names such as <mask>")
            return cls(Backend.from_str(json.dumps(values))).with_specials(names)
        except Exception as error:  # of a missing or odd part; the library raises bare Exception
            raise Refused(f"{what}: {(str(error) or type(error).__name__).splitlines()[0]}") from None

    def _token(self, token_id: int) -> str:
        token = self._backend.id_to_token(int(token_id))
        if token is None:
            raise ValueError(f"id {token_id} is not in the vocabulary of {self.vocab_size}")
        return token


def overlaps(text: str, offset: Offset, start: int, end: int) -> bool:
    """Tell whether a token at ``offset`` shows any character of ``text[start:end]``, its outer space left out.

    So " March" shows "March" and not the space before it; a token that is all space shows that space.
    """
    first, last = offset
    token = text[first:last]
    if token.strip():
        first, last = last - len(token.lstrip()), first + len(token.rstrip())
    return first < end and start < last


def token_bytes(text: str, offsets: Sequence[Offset]) -> np.ndarray:
    """Return how many UTF-8 bytes of ``text`` each token shows, int64.

    A character that several tokens share (byte-level BPE may cut it) counts at the first, so that the sum is that of
    the text.
    """
    code_points = np.frombuffer(text.encode("utf-32-le"), dtype="<u4")
    sizes = 1 + (code_points > 0x7F).astype(np.int64) + (code_points > 0x7FF) + (code_points > 0xFFFF)
    before = np.concatenate([[0], np.cumsum(sizes)])  # bytes before each character
    ends = np.maximum.accumulate(np.array([0, *(end for _, end in offsets)], dtype=np.int64))
    return np.diff(before[ends])


def _seen(counts: Counter[str], byte_level: bool) -> frozenset[str] | None:
    seen: Counter[str] = Counter()
    for token, count in counts.items():
        seen[(_bytes_of(token).decode(errors="replace") if byte_level else token).strip()] += count
    words = frozenset(filter(_has_letters, seen))
    usual = len(words) <= _RARE * sum(seen[word] for word in words)
    return words if usual and len(words) <= _MOST_SEEN else None


def _has_letters(word: str) -> bool:
    return any(map(str.isalpha, word))


def _blank(kind: str, byte_level: bool) -> Backend:
    """Return a tokenizer without a vocabulary."""
    unknown = SPECIALS[UNK]
    model: Any
    if kind == "unigram":
        model = models.Unigram([(special, 0.0) for special in SPECIALS], UNK, byte_fallback=False)
    elif kind == "bpe":
        model = models.BPE() if byte_level else models.BPE(unk_token=unknown)
    else:
        model = models.WordLevel(unk_token=unknown)
    backend = Backend(model)
    split = pre_tokenizers.Split(Regex(_PATTERNS[kind]), "isolated")
    pieces = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.pre_tokenizer = pre_tokenizers.Sequence([split, pieces]) if byte_level else split
    backend.decoder = decoders.ByteLevel() if byte_level else decoders.Fuse()
    return backend


def _counts(texts: Iterable[str], config: TokenizerConfig) -> Counter[str]:
    """Return how often each character, or each pre-token, comes.

    Where the different words have more than 4 million characters, the rarest so far are forgotten, and count from there on
    as if they came anew: so much memory does the library need to merge them.
    """
    counts: Counter[str] = Counter()
    if config.kind == "character":
        for text in texts:
            counts.update(text)
        return counts
    for segment in portions(texts, room=_SEGMENT, most=_SEGMENT):
        counter = _blank(config.kind, config.byte_level)
        counter.model = models.WordLevel(unk_token=SPECIALS[UNK])
        counter.encode_special_tokens = True
        room = sum(map(len, segment)) * 4 + len(SPECIALS)  # as many as there could be
        counter.train_from_iterator(segment, trainers.WordLevelTrainer(**_common(room)))
        seen = np.zeros(counter.get_vocab_size(), dtype=np.int64)
        for portion in portions(segment):
            ids = chain.from_iterable(encoding.ids for encoding in counter.encode_batch_fast(portion))
            seen += np.bincount(np.fromiter(ids, dtype=np.int64), minlength=len(seen))
        vocabulary = counter.get_vocab(with_added_tokens=False)
        counts.update({word: int(seen[number]) for word, number in vocabulary.items() if number >= len(SPECIALS)})
        if sum(map(len, counts)) > _MOST_LETTERS:
            left = accumulate(_ordered(counts), lambda room, one: room - len(one[0]), initial=_MOST_LETTERS // 2)
            counts = Counter(dict(one for one, room in zip(_ordered(counts), left, strict=False) if room > 0))
    return counts


def _ordered(counts: Counter[str]) -> list[tuple[str, int]]:
    """Return the counted, the commonest first."""
    return sorted(counts.items(), key=lambda one: (-one[1], one[0]))


def _commonest(counts: Counter[str], config: TokenizerConfig, room: int) -> Backend:
    tokens = [token for token, count in _ordered(counts) if count >= config.min_count]
    return _words(config.kind, config.byte_level, [*SPECIALS, *tokens][:room])


def _words(kind: str, byte_level: bool, tokens: Sequence[str]) -> Backend:
    backend = _blank(kind, byte_level)
    vocabulary = {token: number for number, token in enumerate(tokens)}
    backend.model = models.WordLevel(vocabulary, unk_token=SPECIALS[UNK])
    backend.add_special_tokens(list(SPECIALS))
    return backend


def _bpe(counts: Counter[str], config: TokenizerConfig, room: int) -> Backend:
    """Merge pairs by their counts (Sennrich et al. 2016)."""
    backend = _blank("bpe", config.byte_level)
    own: dict[str, Any] = {"initial_alphabet": pre_tokenizers.ByteLevel.alphabet()} if config.byte_level else {}
    trainer = trainers.BpeTrainer(**_common(room), min_frequency=config.min_count, **own)
    # The library takes texts and no counts: here each word as often as it comes, with a character between that none has.
    used = set(chain.from_iterable(counts))
    between = next(letter for letter in map(chr, range(0x110000)) if letter not in used)
    usual, backend.pre_tokenizer = backend.pre_tokenizer, pre_tokenizers.Split(between, "removed")
    backend.train_from_iterator(_repeated(counts, between), trainer)
    backend.pre_tokenizer = usual
    return backend


def _repeated(counts: Counter[str], between: str) -> Iterator[str]:
    for word, number in counts.items():
        most = _REPEATED // len(word) + 1
        for left in range(number, 0, -most):
            yield (word + between) * min(left, most)


def _unigram(counts: Counter[str], config: TokenizerConfig, room: int) -> Backend:
    """Learn from the commonest words, long ones in parts."""
    parts: Counter[str] = Counter()
    for word, number in _ordered(counts)[: _MOST_WORDS - len(SPECIALS)]:
        for start in range(0, len(word), _LONGEST):
            parts[word[start : start + _LONGEST]] += number
    parts = Counter(dict(islice(parts.items(), _MOST_WORDS)))
    alphabet = pre_tokenizers.ByteLevel.alphabet() if config.byte_level else []
    numbers = np.array(list(parts.values()), dtype=np.int64)
    pieces = train_unigram(list(parts), numbers, alphabet, room - len(SPECIALS), config.min_count)
    backend = _blank(config.kind, config.byte_level)
    backend.model = models.Unigram([*((special, 0.0) for special in SPECIALS), *pieces], UNK, byte_fallback=False)
    backend.add_special_tokens(list(SPECIALS))
    return backend


def _common(room: int) -> dict[str, Any]:
    return {"vocab_size": room, "special_tokens": list(SPECIALS), "show_progress": False}


def _bytes_of(token: str) -> bytes:
    return bytes(_BYTE[character] for character in token)


def _by_token(vocab: Any) -> dict[str, int]:
    """Return each token with its id; a unigram model has its tokens in order, each with the logarithm of a probability."""
    if isinstance(vocab, dict):
        return vocab
    ids = {token: number for number, (token, _) in enumerate(vocab)}
    sound = all(isinstance(token, str) and type(score) is float and -math.inf < score <= 0 for token, score in vocab)
    if not sound or len(ids) < len(vocab):
        raise ValueError("its scores are no logarithms of probabilities, or a token stands there twice")
    return ids


def _without_vocabulary(values: dict[str, Any]) -> dict[str, Any]:
    return {**values, "model": {key: one for key, one in values["model"].items() if key not in ("vocab", "merges")}}


def train_unigram(
    words: Sequence[str], counts: np.ndarray, alphabet: Sequence[str], size: int, min_count: int
) -> list[tuple[str, float]]:
    """Return the pieces, the likeliest first, with the logarithms of their probabilities.

    The vocabulary of a unigram language model (Kudo 2018, section 3.2) of different ``words``, which come ``counts`` times.
    The characters of the ``alphabet`` and of the words are pieces whatever happens. ``size``: how many pieces at most;
    fewer only where the words have no more. Pieces of several characters that are seen less often than ``min_count`` are
    not made.
    """
    letters = sorted({*alphabet, *(letter for word in words for letter in word)})
    seeds, weight = _seeds(words, counts, size, min_count)
    pieces = [*letters, *seeds]
    number_of = {piece: number for number, piece in enumerate(pieces)}
    in_words, in_pieces = Lattice(words, number_of), Lattice(pieces, number_of, whole=False)
    seen = np.concatenate([in_words.letters(counts, len(letters)), weight])
    alive = np.ones(len(pieces), dtype=bool)
    while True:
        for _ in range(_ROUNDS):
            seen = in_words.expected(_probabilities(seen, alive), counts)
        if alive.sum() <= max(size, len(letters)):
            break
        target = max(int(_SHARE * alive.sum()), size) if alive.sum() > _SPARE * size else size
        probability = _probabilities(seen, alive)
        # What the text would lose of its likelihood without each piece; letters stay.
        loss = seen * (
            np.log(np.maximum(probability, _TINY)) - np.log(np.maximum(in_pieces.likelihoods(probability), _TINY))
        )
        loss[: len(letters)] = np.inf
        loss[~alive] = -np.inf
        best = np.argsort(-loss, kind="stable")[: max(target, len(letters))]
        alive &= np.isin(np.arange(len(pieces)), best)
        in_words.keep(alive)
        in_pieces.keep(alive)
    score = np.log(np.where(alive, _probabilities(seen, alive), 1.0))
    order = sorted(np.flatnonzero(alive).tolist(), key=lambda number: (-score[number], pieces[number]))
    return [(pieces[number], float(score[number])) for number in order]


def _seeds(words: Sequence[str], counts: np.ndarray, size: int, min_count: int) -> tuple[list[str], np.ndarray]:
    """Return the substrings that cover most text, and how often each comes."""
    seen: Counter[str] = Counter()
    for word, count in zip(words, counts.tolist(), strict=True):
        for start in range(len(word) - 1):
            for end in range(start + 2, min(len(word), start + _LONGEST_PIECE) + 1):
                seen[word[start:end]] += count
        if len(seen) > _MOST_SEEDS:
            seen = Counter(dict(_covering(seen)[: _MOST_SEEDS // 2]))
    chosen = _covering(Counter({piece: count for piece, count in seen.items() if count >= min_count}))[: _SEEDS * size]
    return [piece for piece, _ in chosen], np.array([count for _, count in chosen], dtype=np.float64)


def _covering(seen: Counter[str]) -> list[tuple[str, int]]:
    """Return pieces and how often each comes, those that cover most text first."""
    return sorted(seen.items(), key=lambda one: (-one[1] * len(one[0]), one[0]))


def _probabilities(seen: np.ndarray, alive: np.ndarray) -> np.ndarray:
    counts = np.where(alive, np.maximum(seen, _FLOOR), 0.0)
    return counts / counts.sum()


class Lattice:
    """All ways to cut texts into pieces: an edge wherever a piece, of which each has its number, stands in a text.

    ``whole=False``: a text of several characters is no piece of itself.
    """

    def __init__(self, texts: Sequence[str], number_of: dict[str, int], whole: bool = True) -> None:
        edges = array("i")
        for row, text in enumerate(texts):
            for start in range(len(text)):
                for end in range(start + 1, min(len(text), start + _LONGEST_PIECE) + 1):
                    number = number_of.get(text[start:end])
                    if number is not None and (whole or end - start < len(text)):
                        edges.extend((row, start, end, number))
        self._edges = np.frombuffer(edges, dtype=np.int32).reshape(-1, 4)
        self._sizes = np.array([len(text) for text in texts])
        self._width = int(self._sizes.max(initial=0)) + 1
        self._by_start, self._by_end = self._groups(1), self._groups(2)

    def keep(self, alive: np.ndarray) -> None:
        """Drop the pieces that are not ``alive``."""
        self._edges = self._edges[alive[self._edges[:, 3]]]
        self._by_start, self._by_end = self._groups(1), self._groups(2)

    def letters(self, counts: np.ndarray, letters: int) -> np.ndarray:
        """Return how often each of the first pieces, the letters, comes."""
        row, _, _, number = self._edges[self._edges[:, 3] < letters].T
        return np.bincount(number, counts[row], letters)

    def likelihoods(self, probability: np.ndarray) -> np.ndarray:
        """Return the probability of each text, over all ways to cut it."""
        return self._forward(probability)[np.arange(len(self._sizes)), self._sizes]

    def expected(self, probability: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """Return how often each piece is expected, over all ways to cut the texts, which come ``counts`` times."""
        before, after = self._forward(probability), self._backward(probability)
        row, start, end, number = self._edges.T
        weight = counts / np.maximum(before[np.arange(len(self._sizes)), self._sizes], _TINY)
        share = before[row, start] * probability[number] * after[row, end] * weight[row]
        return np.bincount(number, share, len(probability))

    def _groups(self, column: int) -> list[np.ndarray]:
        """Return the edges that begin, or end, at each place."""
        edges = self._edges[np.argsort(self._edges[:, column], kind="stable")]
        bounds = np.searchsorted(edges[:, column], np.arange(self._width + 1))
        return [np.ascontiguousarray(edges[first:last].T) for first, last in pairwise(bounds)]

    def _forward(self, probability: np.ndarray) -> np.ndarray:
        reached = np.zeros((len(self._sizes), self._width))
        reached[:, 0] = 1.0
        for end in range(1, self._width):
            row, start, _, number = self._by_end[end]
            reached[:, end] = np.bincount(row, reached[row, start] * probability[number], len(self._sizes))
        return reached

    def _backward(self, probability: np.ndarray) -> np.ndarray:
        left = np.zeros((len(self._sizes), self._width))
        left[np.arange(len(self._sizes)), self._sizes] = 1.0
        for start in range(self._width - 2, -1, -1):
            row, _, end, number = self._by_start[start]
            left[:, start] += np.bincount(row, left[row, end] * probability[number], len(self._sizes))
        return left
