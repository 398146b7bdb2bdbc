"""The data of a run behind one face: corpus, tokenizer, batches, counts and probes."""

import logging
from typing import Any

import torch.distributed
from pytorch_lightning import LightningDataModule

from attncompare.config import RunConfig
from attncompare.data.corpora import load_corpus
from attncompare.data.corpus import TEXT_COLUMNS, Corpus, fingerprint, overlap
from attncompare.data.dataset import SPLITS
from attncompare.data.encoding import EncodedCorpus, Tell
from attncompare.data.order import BatchLoader, Plan
from attncompare.data.probes import Probe, pair_probes, text_probes
from attncompare.data.sets import PairSet, RowsByLength, RowSet, StreamSet
from attncompare.data.tokenizer import Tokenizer
from attncompare.errors import Refused
from attncompare.text import counted

__all__ = ["DataModule", "Probe"]

log = logging.getLogger("attncompare")
SplitSet = PairSet | RowSet | StreamSet


class DataModule(LightningDataModule):
    """Corpus, tokenizer and batches of ``config``.

    Args:
        config: the run.
        tell: told in words how far :meth:`prepare` is, where that takes long.
        tokenizers: take the place of those that are trained on the train split: as the two attributes below.

    Attributes:
        (after :meth:`prepare`)
        tokenizer: trained on the train split; with separate vocabularies on its targets.
        source_tokenizer: trained on its sources then; None: the two sides share ``tokenizer``, or there is one alone.
        fingerprint: SHA-256 of the data (:func:`attncompare.data.corpus.fingerprint`).
        report: plain JSON: ``vocab_size``, with separate vocabularies ``source_vocab_size``, and for each split ``rows``,
            ``tokens``, ``unknown_rate`` (share of tokens; for pairs also of each side), ``left_out`` (train rows over
            ``task.max_length``), ``truncated`` (val and test rows over it); for train ``padding``, the share of the
            places in the batches of epoch 0 (one long text has none), and for val and test what
            :func:`attncompare.data.corpus.overlap` counts. ``is_val`` is true of a test split that is val again;
            ``origin``: where the data came from, if from elsewhere.
    """

    tokenizer: Tokenizer
    source_tokenizer: Tokenizer | None
    fingerprint: str
    report: dict[str, Any]

    def __init__(
        self,
        config: RunConfig,
        tell: Tell = lambda _: None,
        tokenizers: tuple[Tokenizer, Tokenizer | None] | None = None,
    ) -> None:
        super().__init__()
        self.config, self._tell, self._given = config, tell, tokenizers
        self._corpus: Corpus | None = None
        self._sets: dict[str, SplitSet] = {}
        self._texts: dict[str, list[tuple[str, str]]] = {}

    def prepare(self) -> None:
        """Load, tokenize and count, once; further calls do nothing.

        Raises:
            Refused: if the corpus cannot be had, or holds nothing to train on or to evaluate.
        """
        if self._sets:
            return
        corpus: Corpus = load_corpus(self.config.data, self.config.data_seed)
        self.fingerprint = fingerprint(corpus)
        encoded = EncodedCorpus(corpus, self.fingerprint, self._tell)
        self.tokenizer, self.source_tokenizer = self._given or self._tokenizers(encoded, _text_columns(corpus))
        sets = {split: self._set_of(corpus, encoded, split) for split in SPLITS}
        self._refuse_if_empty(sets)
        self.report = self._count(corpus, sets)
        self._corpus, self._sets = corpus, sets

    def setup(self, stage: str | None = None) -> None:  # noqa: ARG002  (the signature is Lightning's)
        """Prepare, as Lightning asks for it; every stage needs the same."""
        self.prepare()

    def train_dataloader(self) -> BatchLoader:
        """Return the train batches, each in ``trainer.accumulate`` parts; their order follows from ``data_seed`` and epoch.

        Among several processes each gets a part of every batch, so the trainer must not distribute them again
        (``use_distributed_sampler=False``).
        """
        rows, config = self._set("train"), self.config.trainer
        distributed = torch.distributed.is_available() and torch.distributed.is_initialized()
        rank, world = (torch.distributed.get_rank(), torch.distributed.get_world_size()) if distributed else (0, 1)
        return BatchLoader(
            rows,
            lambda epoch: self._train_plan(rows, epoch),
            limit=config.limit_batches,
            parts=config.accumulate,
            rank=rank,
            world=world,
        )

    def val_dataloader(self) -> BatchLoader:
        """Return the val batches, in order; every process gets all."""
        return self._fixed("val")

    def test_dataloader(self) -> BatchLoader:
        """Return the test batches, in order; every process gets all."""
        return self._fixed("test")

    def pair(self, split: str, row: int) -> tuple[str, str]:
        """Return source and target of a row of a split of pairs, as :attr:`PairBatch.index_B` counts them."""
        if split not in self._texts:
            corpus = self._loaded()
            columns = (corpus.column(split, side) for side in ("source", "target"))
            self._texts[split] = list(zip(*columns, strict=True))
        return self._texts[split][row]

    def scored_rows(self, split: str, count: int) -> list[tuple[int, list[int], list[int]]]:
        """Return number, ids and scored places of the first rows of a split whose rows stand for themselves, else nothing."""
        rows = self._set(split)
        if not isinstance(rows, RowSet):
            return []
        return [(row, rows.ids[row].tolist(), rows.scored[row].tolist()) for row in rows.kept[:count].tolist()]

    def probes(self, count: int) -> list[Probe]:
        """Return fixed examples from val, which depend on the data and the tokenizer alone.

        Raises:
            Refused: if val holds fewer.
        """
        corpus, val = self._loaded(), self._set("val")
        if count > len(val):
            raise Refused(f"tracking.probes={count}, but val holds only {counted(len(val), 'example')}")
        if isinstance(val, PairSet):
            return pair_probes(corpus, val, (self.source_tokenizer or self.tokenizer, self.tokenizer), count)
        return text_probes(val, count)

    def _tokenizers(self, encoded: EncodedCorpus, columns: list[str]) -> tuple[Tokenizer, Tokenizer | None]:
        config = self.config.data.tokenizer
        if config.joint:
            return encoded.tokenizer(columns, config), None
        source, target = (
            encoded.tokenizer([side], config, f"the {side} side of the train split") for side in ("source", "target")
        )
        return target, source

    def _set_of(self, corpus: Corpus, encoded: EncodedCorpus, split: str) -> SplitSet:
        longest, cut = self.config.task.max_length, split != "train"
        if "source" in corpus.splits[split].column_names:
            source = encoded.lines(split, "source", self.source_tokenizer or self.tokenizer)
            return PairSet(source, encoded.lines(split, "target", self.tokenizer), longest, cut)
        if corpus.stream:
            return StreamSet(encoded.stream(split, self.tokenizer), longest, self._stride() if cut else None)
        if self._stride() is not None:
            raise Refused(
                f"task.eval_stride={self._stride()}: data={self.config.data.name} has rows that stand for themselves, and no "
                "windows; leave task.eval_stride=null"
            )
        return RowSet(encoded.rows(split, self.tokenizer), longest, cut)

    def _stride(self) -> int | None:
        return getattr(self.config.task, "eval_stride", None)

    def _refuse_if_empty(self, sets: dict[str, SplitSet]) -> None:
        longest = self.config.task.max_length
        if sets["train"].left_out and not len(sets["train"]):
            raise Refused(f"task.max_length={longest}: every train row is longer; raise it, or choose shorter data")
        for split, rows in sets.items():
            plan = rows.train_plan(0, 0, 1) if split == "train" else rows.fixed_plan(1)
            if not plan:
                raise Refused(f"data={self.config.data.name}: {split} is too small for task.max_length={longest}")

    def _count(self, corpus: Corpus, sets: dict[str, SplitSet]) -> dict[str, Any]:
        report: dict[str, Any] = {"vocab_size": self.tokenizer.vocab_size}
        if self.source_tokenizer is not None:
            report["source_vocab_size"] = self.source_tokenizer.vocab_size
        if corpus.origin:
            report["origin"] = corpus.origin
        found = overlap(corpus)
        for split, rows in sets.items():
            size = corpus.splits[split].num_rows
            counts = {"rows": size, **rows.counts(), "left_out": rows.left_out, "truncated": rows.truncated}
            counts |= found.get(split, {})
            if split == "test" and corpus.test_is_val:
                counts["is_val"] = True
            if split == "train" and isinstance(rows, RowsByLength):
                counts["padding"] = rows.padding(self._train_plan(rows, 0))
            report[split] = counts
            self._log(split, counts)
        return report

    def _log(self, split: str, counts: dict[str, Any]) -> None:
        longest, rows = self.config.task.max_length, counts["rows"]
        if counts["left_out"]:
            log.warning("%s: left out %d of %d rows, over task.max_length=%d", split, counts["left_out"], rows, longest)
        if counts["truncated"]:
            log.warning("%s: truncated %d of %d rows to task.max_length=%d", split, counts["truncated"], rows, longest)
        if counts.get("in_train"):
            log.warning("%s: %d of %d rows stand in train too", split, counts["in_train"], rows)

    def _train_plan(self, rows: SplitSet, epoch: int) -> Plan:
        data = self.config.data
        return rows.train_plan(self.config.data_seed, epoch, data.batch_size, data.batch_tokens)

    def _fixed(self, split: str) -> BatchLoader:
        rows, size, tokens = self._set(split), self.config.data.batch_size, self.config.data.batch_tokens
        return BatchLoader(rows, lambda _: rows.fixed_plan(size, tokens), limit=self.config.trainer.limit_batches)

    def _set(self, split: str) -> SplitSet:
        self.prepare()
        return self._sets[split]

    def _loaded(self) -> Corpus:
        self.prepare()
        assert self._corpus is not None
        return self._corpus


def _text_columns(corpus: Corpus) -> list[str]:
    return [name for name in TEXT_COLUMNS if name in corpus.splits["train"].column_names]
