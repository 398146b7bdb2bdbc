"""Pairs of texts, source and target: encoded, as batches, and aligned where it is known what says what."""

from collections.abc import Sequence

import numpy as np
import torch
from torch.utils.data import Dataset

from attncompare.data.batches import PairBatch, padded
from attncompare.data.cache import Arrays
from attncompare.data.encoding import RowsByLength, TokenRows, encode_lines
from attncompare.data.kinds.base import MODERATE, DataKind, Probe
from attncompare.data.tokenizer import BOS, EOS, UNK, Offset, Tokenizer, overlaps
from attncompare.errors import Refused
from attncompare.text import shortly

Span = Sequence[int]  # start, end, field
PAIR = " => "
"""What stands between source and target of an own sentence for maps."""

_FIELDS = 3  # aligned fields that make a map worth looking at


class PairSet(RowsByLength, Dataset[PairBatch]):
    """Encoded pairs; ``pair_set[rows]`` is the batch of these rows.

    A pair is as long as its longer side: the source's tokens and EOS, or BOS and the target's tokens. A side that is
    cut keeps its EOS: both may be if ``cut`` (val, test), the source also if ``cut_sources``. ``source`` and
    ``target`` come from :func:`encode_lines`; as attributes they are by row number the source's ids and EOS, and BOS, the
    target's ids and EOS.
    """

    def __init__(self, source: Arrays, target: Arrays, max_length: int, cut: bool, cut_sources: bool = False) -> None:
        room = max_length - 1
        self._ids = {"source": source["ids"], "target": target["ids"]}
        self.source = TokenRows(source["ids"], source["ends"], room, after=(EOS,))
        self.target = TokenRows(target["ids"], target["ends"], room, before=(BOS,), after=(EOS,))
        super().__init__([self.target.lengths + 1, self.source.lengths + 1], max_length, [cut, cut or cut_sources])

    def __getitem__(self, rows: list[int]) -> PairBatch:
        source_BS = padded([self.source[row] for row in rows])
        return PairBatch(source_BS, padded([self.target[row] for row in rows]), torch.tensor(rows))

    def counts(self) -> dict[str, int | float]:
        """Return the numbers for the record; tokens include EOS, and are those of kept rows after cutting."""
        tokens, unknown = {}, {}
        for side, rows in {"source": self.source, "target": self.target}.items():
            parts = [(len(at), int((self._ids[side][at] == UNK).sum())) for at in rows.seen(self.kept)]
            tokens[side] = sum(size for size, _ in parts) + len(self.kept)
            unknown[side] = sum(count for _, count in parts)
        both = sum(tokens.values())
        return {
            "source_tokens": tokens["source"],
            "target_tokens": tokens["target"],
            "tokens": both,
            "unknown_rate": sum(unknown.values()) / both,
            "source_unknown_rate": unknown["source"] / tokens["source"],
            "target_unknown_rate": unknown["target"] / tokens["target"],
        }


class Parallel(DataKind[PairSet]):
    """``kind = "parallel"``: columns ``source`` and ``target``, and where they are aligned their spans."""

    def learned_tokenizers(self) -> tuple[Tokenizer, Tokenizer | None]:
        """Return one tokenizer for both sides, or one for each."""
        if self.config.data.tokenizer.joint:
            return super().learned_tokenizers()
        source, target = (self.learned([side], f"the {side} side of the train split") for side in ("source", "target"))
        return target, source

    def split_set(self, split: str) -> PairSet:
        """Return an encoded split."""
        source = self.encoded.arrays(split, ["source"], self._reads, encode_lines)
        target = self.encoded.arrays(split, ["target"], self.tokenizer, encode_lines)
        task = self.config.task
        return PairSet(source, target, task.max_length, split != "train", getattr(task, "cut_sources", False))

    @property
    def _reads(self) -> Tokenizer:
        return self.source_tokenizer or self.tokenizer

    def probes(self, split: str, rows: PairSet, count: int) -> list[Probe]:
        """Return first pairs of moderate length that hold several aligned fields, where these are known, and before all those
        whose fields stand in another order on the other side, where attention has to jump.
        """
        corpus = self.corpus.splits[split]
        aligned = "source_spans" in corpus.column_names
        columns = corpus[:] if aligned else {}

        def rank(row: int) -> tuple[bool, bool]:
            moderate = len(rows.source[row]) in MODERATE and len(rows.target[row]) - 1 in MODERATE
            if not aligned:
                return not moderate, True
            sides = (sorted(columns[f"{side}_spans"][row]) for side in ("source", "target"))
            source, target = (list(dict.fromkeys(field for *_, field in side)) for side in sides)
            crosses = source != [field for field in target if field in source]
            return not (moderate and len(source) >= _FIELDS), not crosses

        probes = []
        for row in sorted(rows.kept.tolist(), key=rank)[:count]:  # stable: in order among equals
            ids = rows.source[row].tolist(), rows.target[row].tolist()
            gold: list[np.ndarray | None] = [None, None]
            if aligned:
                text = columns["source"][row], columns["target"][row]
                spans = columns["source_spans"][row], columns["target_spans"][row]
                tokenizers = self._reads, self.tokenizer
                offsets = tokenizers[0].encode(text[0]).offsets, tokenizers[1].encode(text[1]).offsets
                for kind, tokens in enumerate(align(text, spans, offsets)):
                    matrix_TS = np.zeros((len(ids[1]) - 1, len(ids[0])), dtype=bool)
                    matrix_TS[:-1, :-1] = tokens[: len(ids[1]) - 2, : len(ids[0]) - 1]  # the rows may have been cut
                    matrix_TS[-1, -1] = True
                    gold[kind] = matrix_TS
            probes.append(Probe(*ids, gold[0], gold[1]))
        return probes

    def own_probe(self, text: str) -> Probe:
        """Return a pair of the user's, ``source => target``."""
        source, arrow, target = text.partition(PAIR)
        if not (arrow and source.strip() and target.strip()):
            raise Refused(f"tracking.probes={shortly(text)}: must be a pair, 'source{PAIR}target'")
        source_ids = [*self.fitting(source, self._reads, 1), EOS]
        target_ids = [BOS, *self.fitting(target, self.tokenizer, 1), EOS]
        return Probe(source_ids, target_ids, None, None, source, target_written=target)


def align(
    text: tuple[str, str],
    spans: tuple[Sequence[Span], Sequence[Span]],
    offsets: tuple[Sequence[Offset], Sequence[Offset]],
) -> tuple[np.ndarray, np.ndarray]:
    """Return which target tokens surely, and possibly, say what which source tokens say: boolean, (target, source tokens).

    Arguments are pairs: source, target. The space that a token carries does not count, so that " March" lies in the field
    of "March". Possible: in the same field. Sure: the field is a single token on both sides, too (the kinds of Och and Ney
    2003, section 2; here by rule and not by annotators).
    """
    source, target = (
        [{field for start, end, field in fields if overlaps(whole, offset, start, end)} for offset in tokens]
        for whole, fields, tokens in zip(text, spans, offsets, strict=True)
    )
    sure = np.zeros((len(target), len(source)), dtype=bool)
    possible = np.zeros_like(sure)
    for field in set().union(*source) & set().union(*target):
        rows = [t for t, fields in enumerate(target) if field in fields]
        columns = [s for s, fields in enumerate(source) if field in fields]
        possible[np.ix_(rows, columns)] = True
        if len(rows) == len(columns) == 1:
            sure[rows[0], columns[0]] = True
    return sure, possible
