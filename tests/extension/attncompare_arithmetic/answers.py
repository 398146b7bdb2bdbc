"""A task on rows of text of which some tokens are answers, and a metric: the share of rows with every answer right."""

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from attncompare.config.values import Positive
from attncompare.data.batches import TextBatch
from attncompare.tasks import Task, TaskConfig
from attncompare.tasks.metrics import Metric


class Solved(Metric):
    """Share of rows of which every scored token was the likeliest."""

    name = "solved"
    title, short, unit, digits = "solved rows", "solved\n%", "%", 1
    higher_is_better = True
    bounds = (0.0, 1.0)
    sums = ("solved", "rows")

    def update(self, correct_N: Tensor, items_N: Tensor) -> None:
        """Add the N scored tokens of a batch, which holds every row whole."""
        items, row_N = items_N.unique(return_inverse=True)
        wrong = torch.bincount(row_N[~correct_N], minlength=len(items))
        self.add(items, wrong == 0, torch.ones_like(items))

    @classmethod
    def value(cls, sums: np.ndarray) -> np.ndarray:
        """Return solved rows over rows."""
        return sums[..., 0] / sums[..., 1]


class Answers(Task):
    """A decoder learns the scored tokens of each row from those before them."""

    title = "Answers"
    data_kind = "text"
    architecture = "decoder_only"
    outputs = ("nats_N", "correct_N", "items_N")
    always_causal = True

    class Config(TaskConfig):
        """How many answers the record shows."""

        shown: Positive

    def loss(self, batch: TextBatch) -> Tensor:
        """Return the mean cross-entropy of the scored tokens."""
        return self.mean_loss(self.hidden(batch.input_BT), batch.target_BT, batch.scored_BT)

    def on_test_epoch_start(self) -> None:
        """Begin without answers."""
        super().on_test_epoch_start()
        self._answers: list[dict[str, Any]] = []

    def evaluate_batch(self, batch: TextBatch, split: str) -> dict[str, Any]:
        """Return what the metrics are computed from; keep the answers of a test."""
        scored_BT = batch.scored_BT
        logits_BTV = self.model(batch.input_BT).logits_BTV.float()
        likeliest_BT, next_N = logits_BTV.argmax(-1), batch.target_BT[scored_BT]
        if split == "test":
            self._answers += self._texts(batch, likeliest_BT)
        return {
            "nats_N": F.cross_entropy(logits_BTV[scored_BT], next_N, reduction="none"),
            "correct_N": likeliest_BT[scored_BT] == next_N,
            "items_N": batch.item_BT[scored_BT],
        }

    def _texts(self, batch: TextBatch, likeliest_BT: Tensor) -> list[dict[str, Any]]:
        rows = []
        for row, scored_T in enumerate(batch.scored_BT):
            tokens = {
                "prompt": batch.input_BT[row, : int(scored_T.int().argmax()) + 1],
                "reference": batch.target_BT[row, scored_T],
                "answer": likeliest_BT[row, scored_T],
            }
            texts = {name: self.tokenizer.decode(ids.tolist()) for name, ids in tokens.items()}
            rows.append({"id": int(batch.item_BT[row, 0]), **texts})
        return rows

    def predictions(self) -> list[dict[str, Any]]:
        """Return the first answers."""
        return self._answers[: self.config.task.shown]

    def readable(self, batch: TextBatch) -> list[dict[str, str]]:
        """Return the rows as they are read."""
        return [{"text": "".join(self.tokenizer.labels(ids))} for ids in batch.input_BT.tolist()]

    @torch.no_grad()
    def probe_weights(self, source_ids: list[int] | None, target_ids: list[int]) -> dict[str, Tensor]:
        """Return the weights of one row by site, each (layers, H, T, S)."""
        weights = self.model(torch.tensor([target_ids[:-1]], device=self.device), need_weights=True).weights
        return {site: weights_LBHTS[:, 0].float().cpu() for site, weights_LBHTS in weights.items()}
