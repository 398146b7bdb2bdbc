"""What tasks on pairs share: an encoder-decoder learns by teacher forcing, and is judged by what it decodes."""

import math
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor
from torchmetrics import MetricCollection

from attncompare.config import RunConfig
from attncompare.config.values import AtLeastFour, NotNegativeFloat, Positive, Probability
from attncompare.data.batches import PairBatch
from attncompare.data.tokenizer import BOS, EOS, PAD, Tokenizer
from attncompare.decoding import translate_batch
from attncompare.tasks.base import Split, Task, TaskConfig
from attncompare.tasks.metrics import metrics_of


class PairTaskConfig(TaskConfig):
    """What the section ``task`` has for every task on pairs."""

    max_length: AtLeastFour
    label_smoothing: Probability
    val_decodes: Positive
    beam: Positive
    length_penalty: NotNegativeFloat


class TextPairConfig(PairTaskConfig):
    """What it has where a text becomes a text."""

    bleu_tokenize: Literal["13a", "intl", "zh", "ja-mecab", "char", "none"] | None
    bleu_lowercase: bool


class PairTask(Task):
    """Label-smoothed cross-entropy; test is decoded whole, of val the first ``val_decodes`` sources, greedily.

    An item is a source: where several rows of a split have one, it is decoded once, and their targets are its references.
    Its number is that of the first of these rows.

    Attributes:
        without_model: what answers a source without a model, by name: baselines beside the figures.
        beam: width of the search by which test is decoded, from ``task.beam``.
        length_penalty: of a wider search (:func:`attncompare.decoding.length_penalty_of`), from ``task.length_penalty``.
    """

    data_kind = "parallel"
    architecture = "encoder_decoder"
    outputs: ClassVar[tuple[str, ...]] = (
        *("nats_N", "correct_N", "items_N"),
        *("hypotheses", "references", "sentence_items"),
    )
    abilities = ("translate",)
    without_model: ClassVar[Mapping[str, Callable[[str], str]]] = {}

    def __init__(self, config: RunConfig, tokenizer: Tokenizer, source_tokenizer: Tokenizer | None = None) -> None:
        super().__init__(config, tokenizer, source_tokenizer)
        self.beam, self.length_penalty = config.task.beam, config.task.length_penalty
        self._answers: dict[int, dict[str, Any]] = {}

    def loss(self, batch: PairBatch) -> Tensor:
        """Return the cross-entropy with label smoothing (Szegedy et al. 2016, section 7), a mean over target tokens."""
        next_BT = batch.target_BT[:, 1:]
        hidden_BTD = self.hidden(batch.source_BS, batch.target_BT[:, :-1])
        return self.mean_loss(hidden_BTD, next_BT, next_BT != PAD, self.config.task.label_smoothing)

    def on_test_epoch_start(self) -> None:
        """Begin new sums and answers."""
        super().on_test_epoch_start()
        self._answers = {}

    def evaluate_batch(self, batch: PairBatch, split: Split) -> dict[str, Any]:
        """Return cross-entropy and accuracy of the target tokens, and the decoded sentences with their references."""
        logits_BTV = self.model(batch.source_BS, batch.target_BT[:, :-1]).logits_BTV.float()
        next_BT = batch.target_BT[:, 1:]
        is_token_BT = next_BT != PAD
        data, rows = self.trainer.datamodule, batch.index_B.tolist()
        of_source = [data.rows_of_source(split, row) for row in rows]
        item_B = torch.tensor([first for _, (first, *_) in of_source], device=batch.index_B.device)
        most = self.config.task.val_decodes if split == "val" else math.inf
        chosen = [
            place
            for place, (row, (number, (first, *_))) in enumerate(zip(rows, of_source, strict=True))
            if row == first and number < most
        ]
        items = [rows[place] for place in chosen]
        hypotheses = self.translate(batch.source_BS[chosen], beam=1 if split == "val" else self.beam) if items else []
        pairs = [data.pair(split, item) for item in items]
        # The targets of an item, each once: the first is its reference where a metric takes but one.
        targets = [list(dict.fromkeys(data.pair(split, row)[1] for row in of_source[place][1])) for place in chosen]
        for item, (source, _), references, hypothesis in zip(items, pairs, targets, hypotheses, strict=True):
            names = ("reference", *(f"reference_{number}" for number in range(2, len(references) + 1)))
            given = {"source": source, **dict(zip(names, references, strict=True))}
            self._answers |= {item: {"id": item, **given, "prediction": hypothesis}} if split == "test" else {}
        return {
            "nats_N": F.cross_entropy(logits_BTV[is_token_BT], next_BT[is_token_BT], reduction="none"),
            "correct_N": (logits_BTV.argmax(-1) == next_BT)[is_token_BT],
            "items_N": item_B[:, None].expand_as(next_BT)[is_token_BT],
            "hypotheses": hypotheses,
            "references": [reference for _, reference in pairs],
            "all_references": targets,
            "sentence_items": items,
        }

    @torch.no_grad()
    def translate(self, source_BS: Tensor, beam: int) -> list[str]:
        """Return the best translation of each row of token ids that a search of width ``beam`` finds."""
        found = translate_batch(
            *(self.model, source_BS),
            bos=BOS,
            eos=EOS,
            max_length=self.config.task.max_length,
            beam=beam,
            length_penalty=self.length_penalty,
        )
        return [self.tokenizer.decode(best.ids) for best, *_ in found]

    def predictions(self) -> list[dict[str, Any]]:
        """Return every decoded test sentence beside its source and reference."""
        return [answer for _, answer in sorted(self._answers.items())]

    def baselines(self) -> dict[str, dict[str, float]]:
        """Return the figures of what answers without a model, over the sources that the test has just decoded."""
        rows = self.predictions()
        several = [[text for key, text in row.items() if key.startswith("reference")] for row in rows]
        first, items = [references[0] for references in several], [row["id"] for row in rows]
        given = {"references": first, "sentence_items": items, "all_references": several}
        of_texts = {
            name: one for name, one in metrics_of(self.config).items() if {"hypotheses", *given}.issuperset(one.needs())
        }
        found: dict[str, dict[str, float]] = {}
        for baseline, answer in self.without_model.items():
            metrics: Any = MetricCollection(
                {name: one.of(self.config) for name, one in of_texts.items()}, compute_groups=False
            )
            metrics.update(hypotheses=[answer(row["source"]) for row in rows], **given)
            found[baseline] = {name: one.compute().item() for name, one in metrics.items()}
        return found

    def readable(self, batch: PairBatch) -> list[dict[str, str]]:
        """Return source and target of each row as text, special tokens included."""
        of_source, of_target = self.source_tokenizer.labels, self.tokenizer.labels
        pairs = zip(batch.source_BS.tolist(), batch.target_BT.tolist(), strict=True)
        return [
            {"source": "".join(of_source(source)), "target": "".join(of_target(target))} for source, target in pairs
        ]

    @torch.no_grad()
    def probe_weights(self, source_ids: list[int] | None, target_ids: list[int]) -> dict[str, Tensor]:
        """Return the weights of one pair by site, each (layers, H, T, S)."""
        source_BS = torch.as_tensor(source_ids, device=self.device)[None]
        target_BT = torch.tensor([target_ids[:-1]], device=self.device)
        weights = self.model(source_BS, target_BT, need_weights=True).weights
        return {site: weights_LBHTS[:, 0].float().cpu() for site, weights_LBHTS in weights.items()}
