"""The data of a run behind one face: corpus, tokenizer, batches, counts, and the probes on which attention maps are drawn."""

import logging
from collections.abc import Sequence
from itertools import islice
from typing import Any

import torch.distributed
from pytorch_lightning import LightningDataModule

from attncompare.config import RunConfig
from attncompare.data.batches import BatchLoader, Plan, in_order
from attncompare.data.corpora import load_corpus
from attncompare.data.corpus import Corpus, fingerprint, overlap
from attncompare.data.dataset import COLUMNS, SPLITS
from attncompare.data.encoding import EncodedCorpus, RowsByLength, Tell
from attncompare.data.kinds import KINDS, Probe, SplitSet
from attncompare.data.kinds.text import RowSet
from attncompare.data.tokenizer import Tokenizer
from attncompare.errors import Refused
from attncompare.registry import load
from attncompare.text import counted

log = logging.getLogger("attncompare")
_IN_TRAIN = {"in_train": "the whole of", "source_in_train": "the source of", "target_in_train": "the target of"}


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
        encoded = EncodedCorpus(corpus, self.fingerprint, self._tell)
        kind = KINDS[self._kind_name](self.config, encoded, self._note, self._given)
        self.tokenizer, self.source_tokenizer = kind.tokenizer, kind.source_tokenizer
        sets = {split: kind.split_set(split) for split in SPLITS}
        longest = self.config.task.max_length
        if sets["train"].left_out and not len(sets["train"]):
            raise Refused(f"task.max_length={longest}: every train row is longer; raise it, or choose shorter data")
        for split, rows in sets.items():
            if not (rows.train_plan(0, 0, 1) if split == "train" else rows.fixed_plan(1)):
                raise Refused(f"data={self.config.data.name}: {split} is too small for task.max_length={longest}")
        for note in corpus.notes:
            self._note(note)
        self.report = self._count(corpus, sets) | kind.facts(sets["train"])
        asked, there = self.config.tracking.probes, len(sets["val"])
        if isinstance(asked, int) and asked > there:
            self._note(f"tracking.probes={asked}: val holds {counted(there, 'example')}")
        self._corpus, self._kind, self._sets = corpus, kind, sets

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
            lambda batch, epoch: self._prepared(
                self._kind.augmented(batch, rows, epoch), "train", self.config.order, epoch
            ),
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
            self._texts[split] = list(self._corpus.rows(split, COLUMNS[self._kind_name]))
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
            return [self._kind.own_probe(text) for text in wanted]
        return self._kind.probes(split, rows, min(wanted, len(rows)))

    def _count(self, corpus: Corpus, sets: dict[str, SplitSet]) -> dict[str, Any]:
        report: dict[str, Any] = {"vocab_size": self.tokenizer.vocab_size}
        if self.source_tokenizer is not None:
            report["source_vocab_size"] = self.source_tokenizer.vocab_size
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
    def _kind_name(self) -> str:
        kind: str = load("datasets", self.config.data.name).kind
        return kind

    @property
    def _task(self) -> type[Any]:
        return self.config.task_class

    def _prepared(self, batch: Any, *key: str | int) -> Any:
        return self._task.prepared(batch, self.config, self.tokenizer, key)

    def _set(self, split: str) -> SplitSet:
        self.prepare()
        return self._sets[split]
