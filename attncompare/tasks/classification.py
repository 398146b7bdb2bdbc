"""``task=classification``: an encoder learns which label a whole text or image has."""

from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from attncompare.config import RunConfig
from attncompare.data.batches import LabelledBatch
from attncompare.data.kinds.labelled import features_of, pools_cls
from attncompare.data.tokenizer import PAD, Tokenizer
from attncompare.model import Vocabulary
from attncompare.tasks.base import Split, Task, TaskConfig


class Classification(Task):
    """Cross-entropy of the label, from one vector for the whole sequence; a row is one item.

    The vector is that of a position of its own, ``[CLS]`` (Devlin et al. 2018, section 3), or the mean over all positions.
    """

    title = "Classification"
    data_kind = "labelled"
    architecture = "encoder_only"
    outputs = ("nats_N", "correct_N", "items_N", "probabilities_NC", "labels_N")
    abilities = ("classify",)

    class Config(TaskConfig):
        """``task=classification``."""

        pooling: Literal["cls", "mean"]

    def __init__(self, config: RunConfig, tokenizer: Tokenizer, source_tokenizer: Tokenizer | None = None) -> None:
        super().__init__(config, tokenizer, source_tokenizer)
        self._answers: dict[int, tuple[int, int, float]] = {}

    @property
    def vocabulary(self) -> Vocabulary:
        """The labels that the model writes, and the tokens or vectors that it reads."""
        features = features_of(self.config)
        texts = None if features else self.source_tokenizer.vocab_size
        return Vocabulary(len(self.tokenizer.names), self.config.task.max_length, PAD, texts, features)

    def loss(self, batch: LabelledBatch) -> Tensor:
        """Return the cross-entropy of the labels, a mean over rows."""
        pooled_BD = self._pooled(self.hidden(batch.source_BS), batch.source_BS)
        label_BT = batch.label_B[:, None]
        return self.mean_loss(pooled_BD[:, None], label_BT, torch.ones_like(label_BT, dtype=torch.bool))

    def on_test_epoch_start(self) -> None:
        """Begin new sums and answers."""
        super().on_test_epoch_start()
        self._answers = {}

    def evaluate_batch(self, batch: LabelledBatch, split: Split) -> dict[str, Any]:
        """Return cross-entropy, accuracy and item of each row, its label, and the probability of each label."""
        logits_NC = self._logits(batch.source_BS)
        probabilities_NC, best_N = logits_NC.softmax(-1), logits_NC.argmax(-1)
        if split == "test":
            sure_N = probabilities_NC.gather(1, best_N[:, None])[:, 0]
            answers = zip(batch.label_B.tolist(), best_N.tolist(), sure_N.tolist(), strict=True)
            self._answers |= dict(zip(batch.index_B.tolist(), answers, strict=True))
        return {
            "nats_N": F.cross_entropy(logits_NC, batch.label_B, reduction="none"),
            "correct_N": best_N == batch.label_B,
            "items_N": batch.index_B,
            "probabilities_NC": probabilities_NC,
            "labels_N": batch.label_B,
        }

    @torch.no_grad()
    def classify(self, source_BS: Tensor) -> list[list[tuple[str, float]]]:
        """Return the names of all labels with their probabilities for each sequence, the likeliest first."""
        names = self.tokenizer.names
        rows = self._logits(source_BS).softmax(-1).tolist()
        return [sorted(zip(names, row, strict=True), key=lambda one: -one[1]) for row in rows]

    def predictions(self) -> list[dict[str, Any]]:
        """Return for each test row its text, if it is one, its label, the likeliest label and its probability."""
        names, data = self.tokenizer.names, self.trainer.datamodule
        rows = []
        for row, (label, best, probability) in sorted(self._answers.items()):
            text = data.text("test", row)
            given = {"id": row} if text is None else {"id": row, "text": text}
            rows.append({**given, "reference": names[label], "prediction": names[best], "probability": probability})
        return rows

    def readable(self, batch: LabelledBatch) -> list[dict[str, str]]:
        """Return each row, of a text as its tokens, of an image as the vectors of its squares, with its label."""
        names, labels = self.tokenizer.names, batch.label_B.tolist()
        sources = [
            str(one) if batch.source_BS.dim() == 3 else "".join(self.source_tokenizer.labels(one))
            for one in batch.source_BS.tolist()
        ]
        return [{"source": one, "label": names[label]} for one, label in zip(sources, labels, strict=True)]

    @torch.no_grad()
    def probe_weights(self, source_ids: Any, target_ids: list[int]) -> dict[str, Tensor]:
        """Return the weights of one sequence by site, each (layers, H, S, S); the row of [CLS] is the last."""
        source_BS = torch.as_tensor(source_ids, device=self.device)[None]
        weights = self.model(source_BS, need_weights=True).weights
        return {site: weights_LBHTS[:, 0].float().cpu() for site, weights_LBHTS in weights.items()}

    def _logits(self, source_BS: Tensor) -> Tensor:
        pooled_BD = self._pooled(self.model.hidden(source_BS), source_BS)
        return F.linear(pooled_BD, self.model.output_weight).float()

    def _pooled(self, hidden_BSD: Tensor, source_BS: Tensor) -> Tensor:
        """Return one vector for each sequence: that of its last position, which is [CLS], or the mean over its positions."""
        there_BS = self.model.source_mask(source_BS)[:, 0, 0]
        if pools_cls(self.config):
            last_B = there_BS.sum(1) - 1
            return hidden_BSD[torch.arange(len(last_B), device=last_B.device), last_B]
        return (hidden_BSD * there_BS[..., None]).sum(1) / there_BS.sum(1, keepdim=True)
