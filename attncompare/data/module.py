"""The data of a run behind one face: corpus, tokenizer, batches, counts and probes."""

import logging
from typing import Any

import torch.distributed
from pytorch_lightning import LightningDataModule

from attncompare.config import RunConfig
from attncompare.data.corpora import load_corpus
from attncompare.data.corpus import Corpus, fingerprint
from attncompare.data.order import Loader, Order
from attncompare.data.pair_set import PairSet
from attncompare.data.probes import Probe, pair_probes, text_probes
from attncompare.data.row_set import RowSet
from attncompare.data.splits import SPLITS
from attncompare.data.stream_set import StreamSet
from attncompare.data.tokenizer import Tokenizer
from attncompare.errors import Refused
from attncompare.metric_names import counted

__all__ = ["DataModule", "Probe"]

log = logging.getLogger("attncompare")
SplitSet = PairSet | RowSet | StreamSet


class DataModule(LightningDataModule):
    """Corpus, tokenizer and batches of ``config``.

    Args:
        config: the run.
        tokenizer: takes the place of one that is trained on the train split.

    Attributes:
        first_step: the training step (from 0) whose batch comes first; more than 0 where a run is resumed.

    Attributes (after :meth:`prepare`):
        tokenizer: the given one, or one trained on the train split; for pairs one vocabulary for both sides.
        fingerprint: SHA-256 of the data (:func:`attncompare.data.corpus.fingerprint`).
        report: plain JSON: ``vocab_size``, and for each split ``rows``, ``tokens``, ``unknown_rate`` (share of tokens),
            ``left_out`` (train rows over ``task.max_length``), ``truncated`` (val and test rows over it), and for val
            and test ``in_train``: rows of which train holds an equal one.
    """

    tokenizer: Tokenizer
    fingerprint: str
    report: dict[str, Any]

    def __init__(self, config: RunConfig, tokenizer: Tokenizer | None = None) -> None:
        super().__init__()
        self.config = config
        self._given = tokenizer
        self.first_step = 0
        self._corpus: Corpus | None = None
        self._sets: dict[str, SplitSet] = {}

    def prepare(self) -> None:
        """Load, tokenize and count, once; further calls do nothing.

        Raises:
            Refused: if the corpus cannot be had, or holds nothing to train on or to evaluate.
        """
        if self._sets:
            return
        corpus = load_corpus(self.config.data, self.config.data_seed)
        self.tokenizer = self._given or self._train_tokenizer(corpus)
        self.fingerprint = fingerprint(corpus)
        sets = {split: self._encode(corpus, split) for split in SPLITS}
        self._refuse_if_empty(sets)
        self.report = self._count(corpus, sets)
        self._corpus, self._sets = corpus, sets

    def setup(self, stage: str | None = None) -> None:  # noqa: ARG002  (the signature is Lightning's)
        """Prepare, as Lightning asks for it; every stage needs the same."""
        self.prepare()

    def train_dataloader(self) -> Loader:
        """Return the train batches of the steps from :attr:`first_step` to ``trainer.max_steps``.

        Their order follows from ``data_seed`` and the step alone. Among several processes each gets a part of every
        batch, so the trainer must not distribute them again (``use_distributed_sampler=False``).
        """
        rows, config = self._set("train"), self.config
        distributed = torch.distributed.is_available() and torch.distributed.is_initialized()
        rank, world = (torch.distributed.get_rank(), torch.distributed.get_world_size()) if distributed else (0, 1)
        order = Order(
            lambda epoch: rows.train_plan(config.data_seed, epoch, config.data.batch_size),
            self.first_step,
            config.trainer.max_steps,
            limit=config.trainer.limit_batches,
            rank=rank,
            world=world,
        )
        return Loader(rows, order)

    @property
    def batches_per_epoch(self) -> int:
        """Return the number of train batches that make one epoch."""
        return self.train_dataloader().order.batches_per_epoch

    def val_dataloader(self) -> Loader:
        """Return the val batches, in order; every process gets all."""
        return self._fixed("val")

    def test_dataloader(self) -> Loader:
        """Return the test batches, in order; every process gets all."""
        return self._fixed("test")

    def pairs(self, split: str) -> list[tuple[str, str]]:
        """Return source and target of every row of a translation split, as :attr:`PairBatch.index_B` counts them."""
        corpus = self._loaded()
        return list(zip(corpus.column(split, "source"), corpus.column(split, "target"), strict=True))

    def probes(self, count: int) -> list[Probe]:
        """Return fixed examples from val, which depend on the data and the tokenizer alone.

        Raises:
            Refused: if val holds fewer.
        """
        corpus, val = self._loaded(), self._set("val")
        if count > len(val):
            raise Refused(f"tracking.probes={count}, but val holds only {counted(len(val), 'example')}")
        if isinstance(val, PairSet):
            return pair_probes(corpus, val, self.tokenizer, count)
        return text_probes(val, count)

    def _train_tokenizer(self, corpus: Corpus) -> Tokenizer:
        texts = [text for column in _text_columns(corpus) for text in corpus.column("train", column)]
        return Tokenizer.train(texts, self.config.data.tokenizer)

    def _encode(self, corpus: Corpus, split: str) -> SplitSet:
        rows, longest = corpus.splits[split], self.config.task.max_length
        cut = split != "train"
        if "source" in rows.column_names:
            sources, targets = corpus.column(split, "source"), corpus.column(split, "target")
            return PairSet(sources, targets, self.tokenizer, longest, cut)
        texts = corpus.column(split, "text")
        if corpus.stream:
            return StreamSet(texts, self.tokenizer, longest)
        scored = corpus.column(split, "scored") if "scored" in rows.column_names else None
        return RowSet(texts, scored, self.tokenizer, longest, cut)

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
        columns = _text_columns(corpus)
        known = set(_rows(corpus, "train", columns))
        for split, rows in sets.items():
            texts = _rows(corpus, split, columns)
            counts = {"rows": len(texts), **rows.counts(), "left_out": rows.left_out, "truncated": rows.truncated}
            if split != "train":
                counts["in_train"] = sum(text in known for text in texts)
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

    def _fixed(self, split: str) -> Loader:
        rows, size = self._set(split), self.config.data.batch_size
        return Loader(rows, Order(lambda _: rows.fixed_plan(size), limit=self.config.trainer.limit_batches))

    def _set(self, split: str) -> SplitSet:
        self.prepare()
        return self._sets[split]

    def _loaded(self) -> Corpus:
        self.prepare()
        assert self._corpus is not None
        return self._corpus


def _text_columns(corpus: Corpus) -> list[str]:
    return [name for name in ("source", "target", "text") if name in corpus.splits["train"].column_names]


def _rows(corpus: Corpus, split: str, columns: list[str]) -> list[tuple[str, ...]]:
    return list(zip(*(corpus.column(split, column) for column in columns), strict=True))
