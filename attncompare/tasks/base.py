"""What the tasks share: a LightningModule around a model, its optimizer, and sums that become metrics."""

import math
from collections import defaultdict
from typing import Any, Generic, TypeVar

import torch
from pytorch_lightning import LightningModule
from torch import Tensor, nn

from attncompare.attention import Attention
from attncompare.config import RunConfig
from attncompare.data.tokenizer import Tokenizer
from attncompare.errors import RunFailed
from attncompare.model import DecoderOnly, EncoderDecoder, ModelSize, initialize
from attncompare.tasks.schedule import lr_factor

Model = TypeVar("Model", EncoderDecoder, DecoderOnly)


class Task(LightningModule, Generic[Model]):
    """A model and what it is trained for.

    Metrics are sums over an evaluation, divided once at its end, so that they depend neither on the batch size nor on
    Lightning's averaging. After an evaluation they stand in ``results["val"]`` or ``results["test"]``.

    Args:
        config: the run.
        tokenizer: the tokenizer of the run's data.
    """

    def __init__(self, config: RunConfig, tokenizer: Tokenizer) -> None:
        super().__init__()
        self.config = config
        self.tokenizer = tokenizer
        self.model: Model = self.build_model()
        initialize(self.model, config.seed)
        self.results: dict[str, dict[str, float]] = {}
        self.sums: defaultdict[str, float] = defaultdict(float)
        self.gradient_norm = torch.tensor(math.nan)
        self.tokens_trained = 0

    def build_model(self) -> Model:
        """Return a fresh model."""
        raise NotImplementedError

    def loss(self, batch: Any) -> tuple[Tensor, int]:
        """Return the training loss of ``batch`` and the number of tokens that it is a mean over."""
        raise NotImplementedError

    def evaluate_batch(self, batch: Any, split: str) -> None:
        """Add what ``batch`` contributes to ``self.sums``."""
        raise NotImplementedError

    def metrics(self, split: str) -> dict[str, float]:
        """Return the metrics of a split from ``self.sums``."""
        raise NotImplementedError

    def signatures(self) -> dict[str, str]:
        """Return how metrics were computed, for those that have a signature."""
        return {}

    def predictions(self) -> list[dict[str, Any]]:
        """Return what the model answers on the test split, after it was tested."""
        raise NotImplementedError

    def probe_weights(self, source_ids: list[int] | None, target_ids: list[int]) -> dict[str, Tensor]:
        """Return the attention weights of one sequence by site, each (layers, H, T, S).

        Row t belongs to the position that reads ``target_ids[t]`` and predicts the token after it.
        """
        raise NotImplementedError

    def model_size(self) -> ModelSize:
        """Return the sizes of the model for this config and vocabulary."""
        backbone = self.config.backbone
        return ModelSize(
            vocab_size=self.tokenizer.vocab_size,
            max_length=self.config.task.max_length,
            d_model=backbone.d_model,
            layers=backbone.layers,
            d_ff=backbone.d_ff,
            dropout=backbone.dropout,
            positions=backbone.positions,
        )

    def make_attention(self) -> Attention:
        """Return one attention module of the configured variant."""
        variant = self.config.attention
        return Attention(
            self.config.backbone.d_model,
            heads=variant.heads,
            head_dim=variant.head_dim,
            score=variant.score,
            causal=variant.causal,
            dropout=variant.dropout,
        )

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:  # noqa: ARG002
        """Return the loss of one batch, or stop the run where it is no number."""
        loss, tokens = self.loss(batch)
        if not math.isfinite(loss.item()):
            raise RunFailed(f"step {self.global_step}: the training loss is {loss.item()}")
        self.tokens_trained += tokens
        return loss

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,  # noqa: ARG002
        gradient_clip_val: float | None = None,  # noqa: ARG002
        gradient_clip_algorithm: str | None = None,  # noqa: ARG002
    ) -> None:
        """Clip to ``optimizer.clip_norm``, and keep the norm for the record."""
        longest = self.config.optimizer.clip_norm or math.inf
        self.gradient_norm = nn.utils.clip_grad_norm_(self.parameters(), longest)
        if not math.isfinite(self.gradient_norm.item()):
            raise RunFailed(f"step {self.global_step}: the gradient's norm is {self.gradient_norm.item()}")

    def configure_optimizers(self) -> dict[str, Any]:
        """Return AdamW, which decays matrices alone, and its schedule."""
        config = self.config.optimizer
        embeddings = {id(m.weight) for m in self.modules() if isinstance(m, nn.Embedding)}
        decayed = [p for p in self.parameters() if p.dim() > 1 and id(p) not in embeddings]
        others = [p for p in self.parameters() if p.dim() <= 1 or id(p) in embeddings]
        optimizer = torch.optim.AdamW(
            [{"params": decayed, "weight_decay": config.weight_decay}, {"params": others, "weight_decay": 0.0}],
            lr=config.lr,
            betas=config.betas,
            fused=True,
        )
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: lr_factor(step, config, self.config.trainer.max_steps)
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_validation_epoch_start(self) -> None:
        """Begin new sums."""
        self.sums = defaultdict(float)

    def validation_step(self, batch: Any, batch_idx: int) -> None:  # noqa: ARG002
        """Add a batch of val."""
        self.evaluate_batch(batch, "val")

    def on_validation_epoch_end(self) -> None:
        """Turn the sums into ``results["val"]``."""
        self.results["val"] = self.metrics("val")

    def on_test_epoch_start(self) -> None:
        """Begin new sums."""
        self.sums = defaultdict(float)

    def test_step(self, batch: Any, batch_idx: int) -> None:  # noqa: ARG002
        """Add a batch of test."""
        self.evaluate_batch(batch, "test")

    def on_test_epoch_end(self) -> None:
        """Turn the sums into ``results["test"]``."""
        self.results["test"] = self.metrics("test")


def perplexity(loss: float) -> float:
    """Return e^loss, infinite where that is beyond floating point."""
    return math.exp(loss) if loss < 700 else math.inf
