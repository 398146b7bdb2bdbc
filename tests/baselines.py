"""What a model must beat to have learned something: of texts a character trigram model, of pairs a memory of those in train, of
masked tokens counts of each and between its neighbours, of labelled rows the commonest label and the simplest classifiers."""

import itertools
import math
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import scipy.sparse.linalg

END = "\x03"  # put after each document: predicted like any character, but no byte of the text
_HELD_OUT = 10  # every tenth piece of train fits the weights
_PIECE = 2000  # characters in a piece
_ROUNDS = 30


def trigram_bits_per_byte(train_text: str, test_text: str) -> float:
    """Return the bits per UTF-8 byte that an interpolated character trigram model needs for ``test_text``.

    Jelinek-Mercer: a mixture of trigram, bigram, unigram and uniform estimates, with weights that depend on how often
    the history was seen, fitted by expectation maximization on a tenth of train that the counts of that fit leave out;
    then counted on all of it.
    """
    size = min(_PIECE, math.ceil(len(train_text) / (2 * _HELD_OUT)))
    pieces = [train_text[i : i + size] for i in range(0, len(train_text), size)]
    held_out = [piece for i, piece in enumerate(pieces) if i % _HELD_OUT == 0]
    counted = [piece for i, piece in enumerate(pieces) if i % _HELD_OUT]
    symbols = len(set(train_text)) + 1  # one for all that train does not show
    weights = _fit(_estimates(counted, held_out, symbols))
    estimates, buckets = _estimates([train_text], [test_text], symbols)
    mixed = (estimates * weights[buckets]).sum(axis=1)
    return float(-np.log2(mixed).sum()) / len(test_text.replace(END, "").encode())


def _estimates(train: Sequence[str], texts: Sequence[str], symbols: int) -> tuple[np.ndarray, np.ndarray]:
    """Return for each character of ``texts`` its four estimates (N, 4), and the bucket of its history (N,)."""
    counts = [Counter(text[i : i + n] for text in train for i in range(len(text) - n + 1)) for n in (1, 2, 3)]
    total = sum(counts[0].values())
    rows, buckets = [], []
    for text in texts:
        padded = END * 2 + text
        for i in range(2, len(padded)):
            pair, one, last = padded[i - 2 : i], padded[i - 1], padded[i]
            seen, seen_one = counts[1][pair], counts[0][one]
            rows.append(
                (
                    counts[2][pair + last] / seen if seen else 0.0,
                    counts[1][one + last] / seen_one if seen_one else 0.0,
                    counts[0][last] / total,
                    1 / symbols,
                )
            )
            buckets.append(min(int(math.log2(seen + 1)), 15))
    return np.array(rows), np.array(buckets)


def _fit(held_out: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Return mixture weights of K estimates (16 buckets, K) by expectation maximization."""
    estimates, buckets = held_out
    kinds = estimates.shape[1]
    weights = np.full((16, kinds), 1 / kinds)
    for _ in range(_ROUNDS):
        parts = estimates * weights[buckets]
        parts /= parts.sum(axis=1, keepdims=True)
        for bucket in np.unique(buckets):
            weights[bucket] = parts[buckets == bucket].mean(axis=0)
    return weights * (1 - 1e-6) + 1e-6 / kinds  # never zero for what held-out text happened not to need


def unigram(train_ids: np.ndarray, asked_ids: np.ndarray, vocabulary: int) -> tuple[float, float]:
    """Return loss (nats) and accuracy on some tokens of what knows only how often each comes."""
    counts = np.bincount(train_ids, minlength=vocabulary) + 1.0
    return float(-np.log(counts[asked_ids] / counts.sum()).mean()), float((asked_ids == counts.argmax()).mean())


def between_neighbours(
    train_ids: np.ndarray, left_ids: np.ndarray, asked_ids: np.ndarray, right_ids: np.ndarray, mask: int
) -> tuple[float, float]:
    """Return loss (nats) and accuracy on some tokens of what sees the token before and the token after each, or a ``mask``.

    Jelinek-Mercer: a mixture of the shares of a token between both neighbours, behind the one, before the other, at all, and of
    all alike. The weights depend on which neighbours are masked and on how often the two were seen; they are fitted by
    expectation maximization on a tenth of train that the counts of that fit leave out, then counted is all of it.
    """
    cut = len(train_ids) // _HELD_OUT
    fitted, held_out = _Between(train_ids[cut:], mask), train_ids[:cut].astype(np.int64)
    weights = {}
    for masked in itertools.product((False, True), repeat=2):
        left, right = (np.where(one, mask, ids) for one, ids in zip(masked, (held_out[:-2], held_out[2:]), strict=True))
        around = list(zip(left[::4], held_out[1:-1:4], right[::4], strict=True))
        rows = [(shares[asked], bucket) for one, asked, other in around for shares, bucket in [fitted(one, other)]]
        weights[masked] = _fit((np.array([row for row, _ in rows]), np.array([bucket for _, bucket in rows])))
    counted, nats, right_ones = _Between(train_ids, mask), 0.0, 0
    for one, asked, other in zip(left_ids, asked_ids, right_ids, strict=True):
        shares, bucket = counted(one, other)
        mixed = shares @ weights[bool(one == mask), bool(other == mask)][bucket]
        nats -= math.log(mixed[asked])
        right_ones += int(mixed.argmax() == asked)
    return nats / len(asked_ids), right_ones / len(asked_ids)


class _Between:
    """Counts of tokens with their neighbours; ``between(left, right)`` are five shares of each token there (V, 5), and a bucket.

    The bucket is the logarithm of how often the two neighbours were seen.
    """

    def __init__(self, ids: np.ndarray, vocabulary: int) -> None:
        ids, self.size = ids.astype(np.int64), vocabulary
        self.one = np.bincount(ids, minlength=vocabulary) / len(ids)
        pairs = np.bincount(ids[:-1] * vocabulary + ids[1:], minlength=vocabulary**2).reshape(vocabulary, vocabulary)
        self.behind, self.before = (each / np.maximum(each.sum(1, keepdims=True), 1) for each in (pairs, pairs.T))
        self.keys, self.seen = np.unique((ids[:-2] * vocabulary + ids[2:]) * vocabulary + ids[1:-1], return_counts=True)

    def __call__(self, left: int, right: int) -> tuple[np.ndarray, int]:
        shares = np.zeros((self.size, 5))
        shares[:, 3], shares[:, 4] = self.one, 1 / self.size
        if left < self.size:
            shares[:, 1] = self.behind[left]
        if right < self.size:
            shares[:, 2] = self.before[right]
        total = 0
        if max(left, right) < self.size:
            first = (int(left) * self.size + int(right)) * self.size
            found = slice(*np.searchsorted(self.keys, (first, first + self.size)))
            total = int(self.seen[found].sum())
            shares[self.keys[found] - first, 0] = self.seen[found] / max(total, 1)
        return shares, min(int(math.log2(total + 1)), 15)


def nearest_neighbour(train_pairs: Sequence[tuple[str, str]], sources: Sequence[str]) -> list[str]:
    """Return for each source the target of the most similar training source.

    Similar: the cosine of TF-IDF over 1- to 4-grams of characters.
    """
    grams = [Counter(_grams(source)) for source, _ in train_pairs]
    documents = Counter(gram for counts in grams for gram in counts)
    index = {gram: i for i, gram in enumerate(documents)}
    idf = np.array([math.log((1 + len(grams)) / (1 + count)) + 1 for count in documents.values()])
    known, asked = _matrix(grams, index, idf), _matrix([Counter(_grams(source)) for source in sources], index, idf)
    return [train_pairs[i][1] for i in (asked @ known.T).toarray().argmax(axis=1)]


def nearest_class_mean(images_NHW: np.ndarray, labels: Sequence[str], asked_NHW: np.ndarray) -> list[str]:
    """Return for each asked image the label whose mean image is nearest (Euclidean)."""
    names = sorted(set(labels))
    flat_NF = images_NHW.reshape(len(images_NHW), -1)
    means_CF = np.stack([flat_NF[[label == name for label in labels]].mean(0) for name in names])
    gaps_NC = np.linalg.norm(asked_NHW.reshape(len(asked_NHW), 1, -1) - means_CF, axis=-1)
    return [names[n] for n in gaps_NC.argmin(1)]


def naive_bayes(texts: Sequence[str], labels: Sequence[str], asked: Sequence[str]) -> list[str]:
    """Return for each asked text the likeliest label by its words (multinomial, one added to each count)."""
    names, counts = Counter(labels), {name: Counter[str]() for name in sorted(set(labels))}
    for text, label in zip(texts, labels, strict=True):
        counts[label].update(text.lower().split())
    words = set().union(*counts.values())
    sizes = {name: sum(own.values()) + len(words) for name, own in counts.items()}

    def score(name: str, text: str) -> float:
        known = (word for word in text.lower().split() if word in words)
        return math.log(names[name]) + sum(math.log((counts[name][word] + 1) / sizes[name]) for word in known)

    return [max(counts, key=lambda name: score(name, text)) for text in asked]


def majority(labels: Sequence[str], asked: int) -> list[str]:
    """Return the commonest label so many times."""
    return [Counter(sorted(labels)).most_common(1)[0][0]] * asked


def _grams(text: str) -> list[str]:
    framed = f"\x02{text}\x03"
    return [framed[i : i + n] for n in range(1, 5) for i in range(len(framed) - n + 1)]


def _matrix(grams: Sequence[Counter[str]], index: dict[str, int], idf: np.ndarray) -> scipy.sparse.csr_array:
    cells = [
        (row, index[gram], (1 + math.log(count)) * idf[index[gram]])
        for row, counts in enumerate(grams)
        for gram, count in counts.items()
        if gram in index
    ]
    rows, columns, values = zip(*cells, strict=True)
    matrix = scipy.sparse.csr_array((values, (rows, columns)), shape=(len(grams), len(index)))
    return scipy.sparse.diags_array(1 / scipy.sparse.linalg.norm(matrix, axis=1)) @ matrix


def commonest_text(train_texts: Sequence[str]) -> str:
    """Return the text that a model would write that hears nothing: the most frequent letter, as often as texts are long."""
    letters = Counter("".join(train_texts)).most_common(1)[0][0]
    return letters * round(sum(map(len, train_texts)) / len(train_texts))


def nearest_utterances(train: Sequence[tuple[np.ndarray, str]], waves: Sequence[np.ndarray], rate: int) -> list[str]:
    """Return for each sound the text of the training sound whose loudness over time, each 10 ms, is most like its own.

    Like: the correlation of both from their beginnings to the end of the longer one.
    """
    longest = max(len(wave) for wave in (*(wave for wave, _ in train), *waves))

    def shape(wave: np.ndarray) -> np.ndarray:
        padded = np.pad(wave.astype(np.float64), (0, longest - len(wave)))
        step = rate // 100
        loud = np.sqrt((padded[: longest // step * step].reshape(-1, step) ** 2).mean(1))
        return (loud - loud.mean()) / max(float(np.linalg.norm(loud - loud.mean())), 1e-9)

    known = np.array([shape(wave) for wave, _ in train])
    return [train[int((known @ shape(wave)).argmax())][1] for wave in waves]


def morse_by_rule(wave: np.ndarray, rate: int, letters: Mapping[str, str]) -> str:
    """Return the text of a clean keyed sound by a rule: where it is loud, and how long tones and spaces are.

    Loud is above the middle between the quiet and the loud tenth, of 5 ms; a dot is the length that fits tones of one and
    three dots and spaces of one and three best. It knows the code and learns nothing: what a model can at most be asked for.
    """
    step = rate // 200
    loud = np.sqrt((wave[: len(wave) // step * step].astype(np.float64).reshape(-1, step) ** 2).mean(1))
    loud = np.convolve(loud, np.ones(3) / 3, mode="same")
    on = loud > np.quantile(loud, [0.1, 0.9]).mean()
    edges = np.flatnonzero(np.diff(np.concatenate([[False], on, [False]]).astype(int)))
    starts, ends = edges[::2], edges[1::2]
    tones, spaces = ends - starts, starts[1:] - ends[:-1]
    lengths = np.concatenate([tones, spaces[spaces < 5 * tones.min()]])
    tried = np.linspace(lengths.min() / 1.5, lengths.max(), 200)
    dot = min(tried, key=lambda one: np.minimum(np.abs(lengths - one), np.abs(lengths - 3 * one) / 2).sum())
    codes = {code: letter for letter, code in letters.items()}
    text, code = "", ""
    for tone, space in zip(tones, [*spaces, np.inf], strict=True):
        code += "-" if tone > 2 * dot else "."
        if space > 2 * dot:
            text, code = text + codes.get(code, "?"), ""
        if 5 * dot < space < np.inf:
            text += " "
    return text
