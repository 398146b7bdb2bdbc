"""The data of a run behind one face: corpus, tokenizer, batches, counts, and the probes on which attention maps are drawn."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch.distributed
from pytorch_lightning import LightningDataModule

from attncompare.config import RunConfig
from attncompare.data.audio import drawn
from attncompare.data.batches import BatchLoader, Plan, in_order
from attncompare.data.corpora import load_corpus
from attncompare.data.corpus import Corpus, fingerprint, overlap, text_columns
from attncompare.data.dataset import SPLITS
from attncompare.data.encoding import (
    EncodedCorpus,
    PairSet,
    RowsByLength,
    RowSet,
    StreamSet,
    Tell,
    encode_lines,
    encode_rows,
    encode_stream,
)
from attncompare.data.labelled import (
    LabelledSet,
    example_of_row,
    example_of_text,
    label_names,
    labelled_set,
    pools_cls,
)
from attncompare.data.tokenizer import BOS, EOS, SPECIALS, Offset, Tokenizer, overlaps
from attncompare.data.utterances import SpeechSet, encode_sound, heard
from attncompare.errors import Refused
from attncompare.text import counted, shortly

log = logging.getLogger("attncompare")
SplitSet = PairSet | RowSet | StreamSet | LabelledSet | SpeechSet
Span = Sequence[int]  # start, end, field
PAIR = " => "
"""What stands between source and target of an own sentence for maps."""

_WINDOW = 24  # tokens of a stream: what a map shows well
_MODERATE = range(6, 21)  # tokens of a side, EOS or BOS included
_IN_TRAIN = {"in_train": "the whole of", "source_in_train": "the source of", "target_in_train": "the target of"}
_FIELDS = 3  # aligned fields that make a map worth looking at


@dataclass(frozen=True)
class Probe:
    """One example. The decoder reads ``target_ids[:-1]``; its position t predicts ``target_ids[t + 1]``."""

    source_ids: list[int] | np.ndarray | None
    """The source's tokens and EOS, or vectors (S, features); None for text, unless the model is an encoder alone."""
    target_ids: list[int]
    """BOS, the target's tokens and EOS; for text, the tokens as they stand in their window; BOS and a label; empty for text
    that an encoder alone reads."""
    sure_TS: np.ndarray | None
    """Gold alignment, boolean, of ``target_ids[t + 1]`` and ``source_ids[s]``; None where none is known. True where a field
    is one token on both sides, and for EOS."""
    possible_TS: np.ndarray | None
    """Likewise, True wherever both tokens lie in the same field (Och and Ney 2003, section 2)."""
    written: str = ""
    """The text that was encoded, the source's if there is one, or the name of its sound; empty where it is not at hand."""
    places: list[str] | None = None
    """What stands at each position of the source; None: its tokens."""
    image: np.ndarray | None = None
    """The image that the source is: gray levels from 0 to 255, (height, width), uint8; None: it is none."""
    patch: int = 0
    """The side of the squares of the image, in pixels, which the first positions of the source are, row by row."""
    wave: np.ndarray | None = None
    """A drawing of the source's sound (:func:`attncompare.data.audio.outline`); None: it is none."""
    target_written: str = ""
    """The text of the target beside a source, where it was encoded from one; empty where it is not at hand."""


class DataModule(LightningDataModule):
    """Corpus, tokenizer and batches of ``config``.

    ``tell`` is told in words how far :meth:`prepare` is, where that takes long. ``tokenizers``, which take the place of
    those that are trained, are as the two attributes.

    Attributes:
        (after :meth:`prepare`)
        tokenizer: trained on the train split; with separate vocabularies on its targets.
        source_tokenizer: trained on its sources then; None: the two sides share ``tokenizer``, or there is one alone. Of
            labelled rows ``tokenizer`` has the names of the labels, and ``source_tokenizer`` is that of the texts.
        fingerprint: SHA-256 of the data (:func:`attncompare.data.corpus.fingerprint`).
        report: plain JSON: ``vocab_size``, with separate vocabularies ``source_vocab_size``, and for each split ``rows``,
            ``tokens``, ``unknown_rate`` (share of tokens; for pairs also of each side), ``left_out`` (train rows over
            ``task.max_length``), ``blank`` (rows that were dropped, where there are any), ``truncated`` (rows over it that were
            cut: those of val and test, and with ``task.cut_sources`` of train); for train ``padding``, the share of the
            places in the batches of epoch 0 (one long text has none), and for val and test what
            :func:`attncompare.data.corpus.overlap` counts. ``is_val`` is true of a test split that is val again; ``labels``:
            their names, ``image``: height and width of all images; ``origin``: where the data came from, if from elsewhere.
        notes: what people should know of the data: what was left out, cut or capped, what val and test share with train.
    """

    def __init__(
        self,
        config: RunConfig,
        tell: Tell = lambda _: None,
        tokenizers: tuple[Tokenizer, Tokenizer | None] | None = None,
    ) -> None:
        super().__init__()
        self.config, self._tell, self._given = config, tell, tokenizers
        self._sets: dict[str, SplitSet] = {}
        self._texts: dict[str, list[tuple[str, str]]] = {}
        self._by_source: dict[str, dict[str, tuple[int, list[int]]]] = {}
        self.notes: list[str] = []

    def prepare(self) -> None:
        """Load, tokenize and count, once; refused if the corpus cannot be had, or has nothing to train or evaluate on."""
        if self._sets:
            return
        corpus: Corpus = load_corpus(self.config.data, self.config.data_seed)
        self.fingerprint = fingerprint(corpus)
        encoded, tokens = EncodedCorpus(corpus, self.fingerprint, self._tell), self.config.data.tokenizer

        def trained(columns: Sequence[str], whose: str = "the train split") -> Tokenizer:
            found = encoded.tokenizer(columns, tokens, whose)
            if tokens.vocab_size is not None and found.vocab_size < tokens.vocab_size:
                self._note(f"data.tokenizer.vocab_size={tokens.vocab_size}: {whose} gives {found.vocab_size} tokens")
            return found.with_specials(self._task.specials)

        if self._given:
            self.tokenizer, self.source_tokenizer = self._given
        elif "label" in corpus.splits["train"].column_names:
            self.tokenizer, texts = label_names(corpus), text_columns(corpus)
            self.source_tokenizer = trained(texts) if texts else None
        elif tokens.joint:
            self.tokenizer, self.source_tokenizer = trained(text_columns(corpus)), None
        else:
            self.source_tokenizer, self.tokenizer = (
                trained([side], f"the {side} side of the train split") for side in ("source", "target")
            )
        sets = {split: self._set_of(corpus, encoded, split) for split in SPLITS}
        longest = self.config.task.max_length
        if sets["train"].left_out and not len(sets["train"]):
            raise Refused(f"task.max_length={longest}: every train row is longer; raise it, or choose shorter data")
        for split, rows in sets.items():
            if not (rows.train_plan(0, 0, 1) if split == "train" else rows.fixed_plan(1)):
                raise Refused(f"data={self.config.data.name}: {split} is too small for task.max_length={longest}")
        for note in corpus.notes:
            self._note(note)
        self.report = self._count(corpus, sets)
        asked, there = self.config.tracking.probes, len(sets["val"])
        if isinstance(asked, int) and asked > there:
            self._note(f"tracking.probes={asked}: val holds {counted(there, 'example')}")
        self._corpus, self._sets = corpus, sets

    def setup(self, stage: str | None = None) -> None:  # noqa: ARG002  (the signature is Lightning's)
        """Prepare, as Lightning asks for it; every stage needs the same."""
        self.prepare()

    def train_dataloader(self) -> BatchLoader:
        """Return the train batches, each in ``trainer.accumulate`` parts; their order follows from ``order_seed`` and epoch.

        Among several processes each gets a part of every batch, so the trainer must not distribute them again
        (``use_distributed_sampler=False``).
        """
        rows, config = self._set("train"), self.config.trainer
        distributed = torch.distributed.is_available() and torch.distributed.is_initialized()
        rank, world = (torch.distributed.get_rank(), torch.distributed.get_world_size()) if distributed else (0, 1)
        return BatchLoader(
            rows,
            lambda epoch: self._train_plan(rows, epoch),
            config.limit_batches,
            config.accumulate,
            rank,
            world,
            lambda batch, epoch: self._prepared(batch, "train", self.config.order, epoch),
        )

    @property
    def epoch_steps(self) -> int:
        """The optimizer steps of an epoch: its train batches, ``trainer.limit_batches`` at most."""
        return len(self.train_dataloader()) // self.config.trainer.accumulate

    def val_dataloader(self) -> BatchLoader:
        """Return the val batches, in order; every process gets all."""
        return self._fixed("val")

    def test_dataloader(self) -> BatchLoader:
        """Return the test batches, in order; every process gets all."""
        return self._fixed("test")

    def pair(self, split: str, row: int) -> tuple[str, str]:
        """Return source, or the name of its sound, and target of a row of a split, as :attr:`PairBatch.index_B` counts them."""
        if split not in self._texts:
            self.prepare()
            source = "name" if isinstance(self._sets[split], SpeechSet) else "source"
            self._texts[split] = list(self._corpus.rows(split, [source, "target"]))
        return self._texts[split][row]

    def rows_of_source(self, split: str, row: int) -> tuple[int, list[int]]:
        """Return the number of a row's source among those of a split of pairs, from 0, and its rows, ascending."""
        source, _ = self.pair(split, row)
        if split not in self._by_source:
            found: dict[str, tuple[int, list[int]]] = {}
            for number, (one, _) in enumerate(self._texts[split]):
                found.setdefault(one, (len(found), []))[1].append(number)
            self._by_source[split] = found
        return self._by_source[split][source]

    def text(self, split: str, row: int) -> str | None:
        """Return the text of a row of a labelled split; None: it is an image."""
        text: str | None = self._corpus.splits[split][row].get("text")
        return text

    def first_rows(self, split: str, count: int, size: int = 1) -> BatchLoader:
        """Return the first ``count`` rows of val or test, or windows of one long text, in batches of ``size``."""
        rows = self._set(split)
        keys = [key for (key,) in islice(rows.fixed_plan(1), count)]
        return BatchLoader(rows, lambda _: in_order(keys, size))

    def scored_rows(self, split: str, count: int) -> list[tuple[int, list[int], list[int]]]:
        """Return number, ids and scored places of the first rows of a split whose rows stand for themselves, else nothing."""
        rows = self._set(split)
        if not isinstance(rows, RowSet):
            return []
        return [(row, rows.ids[row].tolist(), rows.scored[row].tolist()) for row in rows.kept[:count].tolist()]

    def probes(self, wanted: int | Sequence[str], split: str = "val") -> list[Probe]:
        """Return so many fixed examples from a split, which depend on the data and the tokenizer alone, or own sentences.

        Of pairs first those of moderate length that hold several aligned fields, where these are known, and before all
        those whose fields stand in another order on the other side, where attention has to jump. Of one long text the
        beginnings of windows, spread over it; of labelled texts first those of moderate length. Where the split holds fewer,
        these are all.

        Own sentences are texts, and of pairs ``source => target``.

        Raises:
            Refused: if an own sentence is too long, or no pair, or what the model reads is no text.
        """
        rows = self._set(split)
        if not isinstance(wanted, int):
            return [self._own_probe(rows, text) for text in wanted]
        count = min(wanted, len(rows))
        if isinstance(rows, PairSet):
            return self._pair_probes(rows, count, split)
        if isinstance(rows, LabelledSet):
            return self._labelled_probes(rows, count, split)
        if isinstance(rows, SpeechSet):
            return [self._speech_probe(rows, row, split) for row in rows.kept[:count].tolist()]
        if isinstance(rows, RowSet):
            texts = [rows.ids[row].tolist() for row in rows.kept[:count].tolist()]
        else:
            starts = rows.disjoint_starts[:: max(1, len(rows) // max(1, count))][:count]
            length = min(_WINDOW, rows.max_length)
            texts = [rows.ids[start : start + length + 1].tolist() for start in starts]
        if self._task.architecture == "encoder_only":
            longest = self.config.task.max_length  # a window holds one token more, to be predicted
            return [Probe([one for one in ids if one != BOS][:longest], [], None, None) for ids in texts]
        return [Probe(None, ids, None, None) for ids in texts]

    def _own_probe(self, rows: SplitSet, text: str) -> Probe:
        """Return a sentence of the user's as the model reads it."""
        if isinstance(rows, SpeechSet) or (isinstance(rows, LabelledSet) and self.source_tokenizer is None):
            what = f"the rows of data={self.config.data.name} are no texts"
            raise Refused(f"tracking.probes={shortly(text)}: {what}; valid: a number of examples of val")
        if isinstance(rows, PairSet):
            source, arrow, target = text.partition(PAIR)
            if not (arrow and source.strip() and target.strip()):
                raise Refused(f"tracking.probes={shortly(text)}: must be a pair, 'source{PAIR}target'")
            source_ids = self._fitting(source, self.source_tokenizer or self.tokenizer, 1)
            target_ids = self._fitting(target, self.tokenizer, 1)
            ids = [*source_ids, EOS], [BOS, *target_ids, EOS]
            return Probe(*ids, None, None, source, target_written=target)
        if isinstance(rows, LabelledSet):
            assert self.source_tokenizer is not None
            self._fitting(text, self.source_tokenizer, int(pools_cls(self.config)))
            one = example_of_text(text, self.source_tokenizer, self.config)
            return Probe(one.source, [], None, None, text, one.places)
        if self._task.architecture == "encoder_only":
            return Probe(self._fitting(text, self.tokenizer, 0), [], None, None, text)
        return Probe(None, [BOS, *self._fitting(text, self.tokenizer, 1), EOS], None, None, text)

    def _fitting(self, text: str, tokenizer: Tokenizer, more: int) -> list[int]:
        """Return the tokens of one side of an own sentence; refused if with so many ``more`` they exceed the longest."""
        ids, longest = tokenizer.encode(text).ids, self.config.task.max_length - more
        if not 0 < len(ids) <= longest:
            what = f"{counted(len(ids), 'token')}; valid: 1 to {longest}, as task.max_length says"
            raise Refused(f"tracking.probes={shortly(text)}: {what}")
        return ids

    def _pair_probes(self, pairs: PairSet, count: int, split: str) -> list[Probe]:
        corpus = self._corpus.splits[split]
        aligned = "source_spans" in corpus.column_names
        columns = corpus[:] if aligned else {}

        def rank(row: int) -> tuple[bool, bool]:
            moderate = len(pairs.source[row]) in _MODERATE and len(pairs.target[row]) - 1 in _MODERATE
            if not aligned:
                return not moderate, True
            sides = (sorted(columns[f"{side}_spans"][row]) for side in ("source", "target"))
            source, target = (list(dict.fromkeys(field for *_, field in side)) for side in sides)
            crosses = source != [field for field in target if field in source]
            return not (moderate and len(source) >= _FIELDS), not crosses

        probes = []
        for row in sorted(pairs.kept.tolist(), key=rank)[:count]:  # stable: in order among equals
            ids = pairs.source[row].tolist(), pairs.target[row].tolist()
            gold: list[np.ndarray | None] = [None, None]
            if aligned:
                text = columns["source"][row], columns["target"][row]
                spans = columns["source_spans"][row], columns["target_spans"][row]
                tokenizers = self.source_tokenizer or self.tokenizer, self.tokenizer
                offsets = tokenizers[0].encode(text[0]).offsets, tokenizers[1].encode(text[1]).offsets
                for kind, tokens in enumerate(align(text, spans, offsets)):
                    matrix_TS = np.zeros((len(ids[1]) - 1, len(ids[0])), dtype=bool)
                    matrix_TS[:-1, :-1] = tokens[: len(ids[1]) - 2, : len(ids[0]) - 1]  # the rows may have been cut
                    matrix_TS[-1, -1] = True
                    gold[kind] = matrix_TS
            probes.append(Probe(*ids, gold[0], gold[1]))
        return probes

    def _labelled_probes(self, rows: LabelledSet, count: int, split: str) -> list[Probe]:
        probes = []
        for row in sorted(rows.kept.tolist(), key=lambda row: rows.source.lengths[row] not in _MODERATE)[:count]:
            written, one = example_of_row(self._corpus, split, row, self.config, self.source_tokenizer)
            target = [BOS, len(SPECIALS) + int(rows.labels_N[row])]
            probes.append(Probe(one.source, target, None, None, written, one.places, one.image, one.patch))
        return probes

    def _speech_probe(self, rows: SpeechSet, row: int, split: str) -> Probe:
        vectors_SF, gold_T2 = rows.source(row), rows.gold(row)
        wave_N = np.array(self._corpus.splits[split][row]["wave"], dtype=np.int16)
        places_S = np.arange(len(vectors_SF))
        possible_TS = (gold_T2[:, :1] <= places_S) & (places_S < gold_T2[:, 1:])
        known = possible_TS.any()
        return Probe(
            vectors_SF,
            rows.target[row].tolist(),
            np.zeros_like(possible_TS) if known else None,  # none is sure: any vector of a letter's will do
            possible_TS if known else None,
            self.pair(split, row)[0],
            **drawn(wave_N, len(vectors_SF), self.config.data),
        )

    def _set_of(self, corpus: Corpus, encoded: EncodedCorpus, split: str) -> SplitSet:
        longest, cut = self.config.task.max_length, split != "train"
        stride: int | None = getattr(self.config.task, "eval_stride", None)
        if "label" in corpus.splits[split].column_names:
            return labelled_set(corpus, encoded, split, self.config, self.tokenizer, self.source_tokenizer)
        if "source" in corpus.splits[split].column_names:
            source = encoded.arrays(split, ["source"], self.source_tokenizer or self.tokenizer, encode_lines)
            target = encoded.arrays(split, ["target"], self.tokenizer, encode_lines)
            return PairSet(source, target, longest, cut, getattr(self.config.task, "cut_sources", False))
        if "wave" in corpus.splits[split].column_names:
            sound = encode_sound(corpus, split, self.config.data, self.fingerprint, self._tell)
            target = encoded.arrays(split, ["target"], self.tokenizer, encode_lines)
            gold = heard(corpus, split, self.tokenizer, self.config.data)
            return SpeechSet(sound, target, gold, self.config.data, longest, cut)
        if corpus.stream:
            text = encoded.arrays(split, ["text"], self.tokenizer, encode_stream)
            return StreamSet(text, longest, stride if cut else None, self.config.unscored)
        if stride is not None:
            raise Refused(
                f"task.eval_stride={stride}: data={self.config.data.name} has rows that stand for themselves, and no "
                "windows; leave task.eval_stride=null"
            )
        columns = [name for name in ("text", "scored") if name in corpus.splits[split].column_names]
        return RowSet(encoded.arrays(split, columns, self.tokenizer, encode_rows), longest, cut, self.config.unscored)

    def _count(self, corpus: Corpus, sets: dict[str, SplitSet]) -> dict[str, Any]:
        report: dict[str, Any] = {"vocab_size": self.tokenizer.vocab_size}
        if self.source_tokenizer is not None:
            report["source_vocab_size"] = self.source_tokenizer.vocab_size
        if isinstance(rows := sets["train"], LabelledSet):
            report |= {"labels": self.tokenizer.names, **rows.facts()}
        if corpus.origin:
            report["origin"] = corpus.origin
        found = overlap(corpus)
        for split, rows in sets.items():
            size, limit = corpus.splits[split].num_rows, f"task.max_length={self.config.task.max_length}"
            counts = {"rows": size, **rows.counts(), "left_out": rows.left_out, "truncated": rows.truncated}
            counts |= found.get(split, {})
            if split == "test" and corpus.test_is_val:
                counts["is_val"] = True
            if split == "train" and isinstance(rows, RowsByLength):
                counts["padding"] = rows.padding(self._train_plan(rows, 0))
            report[split] = counts
            if dropped := corpus.dropped.get(split):
                counts["blank"] = dropped
                self._note(f"{split}: left out {counted(dropped, 'blank row')} (data.blank_lines=drop)")
            if rows.left_out:
                self._note(f"{split}: left out {rows.left_out} of {size} rows, over {limit}")
            if rows.truncated:
                self._note(f"{split}: truncated {rows.truncated} of {size} rows to {limit}")
            shared = [f"{what} {counts[key]}" for key, what in _IN_TRAIN.items() if counts.get(key)]
            if shared:
                self._note(f"{split}: of {counted(size, 'row')}, {', '.join(shared)} stand in train too")
        return report

    def _note(self, text: str) -> None:
        log.warning("%s", text)
        self.notes.append(text)

    def _train_plan(self, rows: SplitSet, epoch: int) -> Plan:
        data = self.config.data
        return rows.train_plan(self.config.order, epoch, data.batch_size, data.batch_tokens)

    def _fixed(self, split: str) -> BatchLoader:
        rows, size, tokens = self._set(split), self.config.data.batch_size, self.config.data.batch_tokens
        return BatchLoader(
            rows,
            lambda _: rows.fixed_plan(size, tokens),
            self.config.trainer.limit_batches,
            prepared=lambda batch, _: self._prepared(batch, split, self.config.data_seed),
        )

    @property
    def _task(self) -> type[Any]:
        return self.config.task_class

    def _prepared(self, batch: Any, *key: str | int) -> Any:
        return self._task.prepared(batch, self.config, self.tokenizer, key)

    def _set(self, split: str) -> SplitSet:
        self.prepare()
        return self._sets[split]


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
