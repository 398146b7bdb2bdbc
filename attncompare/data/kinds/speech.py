"""A split of sound as vectors with what is said in it as ids, of which ``rows[keys]`` is a batch."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from attncompare.data.audio import SoundConfig, drawn, places_of, vectors_of
from attncompare.data.batches import SpeechBatch, padded
from attncompare.data.cache import Arrays, cached_arrays, in_memory
from attncompare.data.corpus import Corpus, tables
from attncompare.data.encoding import EncodedCorpus, RowsByLength, TokenRows, encode_lines
from attncompare.data.kinds.base import DataKind, Probe
from attncompare.data.tokenizer import BOS, EOS, UNK, Tokenizer, overlaps

_LARGE = 2**25  # bytes of sound, half an hour at 8 kHz: the vectors of more are kept in the cache
_FORM = 1  # of what is kept there


def encode_sound(encoded: EncodedCorpus, split: str, config: SoundConfig) -> Arrays:
    """Return the ``vectors`` of all utterances of a split, one after the other and flat, and where each ``ends`` (in vectors).

    Those of a large corpus are made once for all runs, in the cache, which finds them by the corpus's fingerprint.
    """

    def parts() -> Iterator[Arrays]:
        yield {"vectors": np.zeros(0, dtype=np.float32), "ends": np.zeros(0, dtype=np.int64)}
        rows, end, done, told = encoded.corpus.splits[split].select_columns(["wave", "name"]), 0, 0, 0
        for table in tables(rows):
            if 10 * done // len(rows) >= told:
                told = 10 * done // len(rows) + 1
                encoded.tell(f"sound of {split} to vectors, {10 * (told - 1)} %")
            done += len(table)
            for wave, name in zip(table["wave"], table["name"].to_pylist(), strict=True):
                vectors_SF = vectors_of(wave.values.to_numpy(), config, f"data={config.name}: {split}, {name}")
                end += len(vectors_SF)
                yield {"vectors": vectors_SF.ravel(), "ends": np.array([end])}

    if encoded.corpus.text_bytes(split) < _LARGE:
        return in_memory(parts())
    settings = [config.rate, config.frame_ms, config.hop_ms, config.mels, config.stack]
    return cached_arrays(["sound", _FORM, encoded.fingerprint, split, *settings], parts)


def heard(corpus: Corpus, split: str, tokenizer: Tokenizer, config: SoundConfig) -> list[np.ndarray]:
    """Return for each utterance of a split the vectors, half-open, in which each token of its target is heard.

    Returns:
        int64 (tokens, 2) each; (0, 0) for a token of no span, and all over where the corpus knows no alignment.
    """
    if "source_spans" not in corpus.splits[split].column_names:
        return [np.zeros((len(tokenizer.encode(text).ids), 2), np.int64) for (text,) in corpus.rows(split, ["target"])]
    found = []
    for text, sounds, letters in corpus.rows(split, ["target", "source_spans", "target_spans"]):
        places = {field: places_of(start, end, config) for start, end, field in sounds}
        rows = []
        for offset in tokenizer.encode(text).offsets:
            said = [places[field] for start, end, field in letters if overlaps(text, offset, start, end)]
            rows.append((min(first for first, _ in said), max(last for _, last in said)) if said else (0, 0))
        found.append(np.array(rows, dtype=np.int64).reshape(-1, 2))
    return found


class SpeechSet(RowsByLength, Dataset[SpeechBatch]):
    """Encoded utterances; ``speech_set[rows]`` is the batch of these rows.

    A row is as long as its longer side: the vectors, or BOS and the target's tokens. What is cut loses its end; a target
    keeps its EOS.

    Args:
        sound: from :func:`encode_sound`.
        target: ids from :func:`attncompare.data.encoding.encode_lines`.
        gold: from :func:`heard`.
        config: of the sound.
        max_length: vectors, or tokens.
        cut: whether longer rows are cut, and not left out.
    """

    def __init__(
        self, sound: Arrays, target: Arrays, gold: list[np.ndarray], config: SoundConfig, max_length: int, cut: bool
    ) -> None:
        self._vectors_NF = sound["vectors"].reshape(-1, config.features)
        self._ends, self._gold, self._longest, self._ids = sound["ends"], gold, max_length, target["ids"]
        self._seconds = config.seconds
        self.target = TokenRows(target["ids"], target["ends"], max_length - 1, before=(BOS,), after=(EOS,))
        self._sizes = np.diff(sound["ends"], prepend=0).astype(np.int32)
        super().__init__([self.target.lengths + 1, self._sizes], max_length, [cut, cut])

    def __getitem__(self, rows: list[int]) -> SpeechBatch:
        sources = [torch.from_numpy(self.source(row)) for row in rows]
        gold = [torch.from_numpy(self.gold(row)) for row in rows]
        return SpeechBatch(
            torch.nn.utils.rnn.pad_sequence(sources, batch_first=True, padding_value=torch.nan),
            padded([self.target[row] for row in rows]),
            torch.nn.utils.rnn.pad_sequence(gold, batch_first=True),
            torch.tensor(rows),
        )

    def source(self, row: int) -> np.ndarray:
        """Return the vectors (S, features) of a row."""
        start = int(self._ends[row - 1]) if row else 0
        return np.array(self._vectors_NF[start : min(int(self._ends[row]), start + self._longest)])

    def gold(self, row: int) -> np.ndarray:
        """Return where each token after the BOS of a row is heard, int64 (T, 2), half-open; (0, 0): nowhere."""
        size = len(self.target[row]) - 1
        known = self._gold[row][: size - 1]
        return np.minimum(np.pad(known, ((0, size - len(known)), (0, 0))), len(self.source(row)))

    def counts(self) -> dict[str, int | float]:
        """Return the numbers for the record, of kept rows after cutting; tokens include EOS, and are the source's vectors."""
        vectors = int(np.minimum(self._sizes[self.kept], self._longest).sum())
        known, unknown = 0, 0
        for at in self.target.seen(self.kept):
            known, unknown = known + len(at), unknown + int((self._ids[at] == UNK).sum())
        tokens = known + len(self.kept)
        facts: dict[str, Any] = {"source_tokens": vectors, "target_tokens": tokens, "tokens": vectors + tokens}
        return {**facts, "unknown_rate": unknown / max(1, tokens), "seconds": round(vectors * self._seconds, 1)}


class Speech(DataKind[SpeechSet]):
    """``kind = "speech"``: columns ``wave``, ``name`` and ``target``, and where they are aligned their spans."""

    def split_set(self, split: str) -> SpeechSet:
        """Return an encoded split."""
        config: Any = self.config.data
        sound = encode_sound(self.encoded, split, config)
        target = self.encoded.arrays(split, ["target"], self.tokenizer, encode_lines)
        gold = heard(self.corpus, split, self.tokenizer, config)
        return SpeechSet(sound, target, gold, config, self.config.task.max_length, split != "train")

    def probes(self, split: str, rows: SpeechSet, count: int) -> list[Probe]:
        """Return the first utterances."""
        return [self._probe(self.corpus.splits[split][row], rows, row) for row in rows.kept[:count].tolist()]

    def _probe(self, found: dict[str, Any], rows: SpeechSet, row: int) -> Probe:
        vectors_SF, gold_T2 = rows.source(row), rows.gold(row)
        wave_N = np.array(found["wave"], dtype=np.int16)
        places_S = np.arange(len(vectors_SF))
        possible_TS = (gold_T2[:, :1] <= places_S) & (places_S < gold_T2[:, 1:])
        known = possible_TS.any()
        return Probe(
            vectors_SF,
            rows.target[row].tolist(),
            np.zeros_like(possible_TS) if known else None,  # none is sure: any vector of a letter's will do
            possible_TS if known else None,
            found["name"],
            **drawn(wave_N, len(vectors_SF), self.config.data),
        )
