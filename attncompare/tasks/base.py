"""What the tasks share: a LightningModule around a model, its optimizer, and sums that become metrics."""

import math
from collections import defaultdict
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, ClassVar, Generic, TypeVar

import torch
from pytorch_lightning import LightningModule
from torch import Tensor, nn

from attncompare.attention import Attention
from attncompare.config import RunConfig
from attncompare.data.module import DataModule
from attncompare.data.tokenizer import Tokenizer
from attncompare.errors import NotFinite
from attncompare.model import DecoderOnly, EncoderDecoder, ModelSize, initialize
from attncompare.attention.kernels.cross_entropy import linear_cross_entropy
from attncompare.tasks.accumulated import Accumulated
from attncompare.tasks.compiling import compiled
from attncompare.tasks.exchange import Exchange
from attncompare.tasks.item_losses import ItemLosses
from attncompare.tasks.schedule import Plan, lr_factor

Model = TypeVar("Model", EncoderDecoder, DecoderOnly)


class Task(LightningModule, Generic[Model]):
    """A model and what it is trained for.

    Metrics are sums over an evaluation, divided once at its end, so that they depend neither on the batch size nor on
    anybody's averaging.

    Args:
        config: the run.
        tokenizer: the tokenizer of the run's data; with separate vocabularies that of the target.
        source_tokenizer: that of the source then; None: the source, if there is one, shares ``tokenizer``.

    Attributes:
        source_tokenizer: of the source; the same as ``tokenizer`` where the two sides share one.
        step: optimizer steps done since the run began, also before it was resumed.
        tokens_trained: tokens that the training loss was a mean over, likewise.
        train_loss: the training loss of the newest step: over all of its batches so far, and the rows of all processes.
        exchange: how the processes that share each batch come to that; None: there is only this one.
        plan: how many steps a time budget gives, once that is known.
        batch: the newest batch, of training or of an evaluation.
        items: the cross-entropy of the newest evaluation, by item.
    """

    abilities: ClassVar[tuple[str, ...]] = ()

    def __init__(self, config: RunConfig, tokenizer: Tokenizer, source_tokenizer: Tokenizer | None = None) -> None:
        super().__init__()
        self.config = config
        self.tokenizer, self.source_tokenizer = tokenizer, source_tokenizer or tokenizer
        self.model: Model = self.build_model()
        initialize(self.model, config.seed, config.backbone.init)
        self.sums: defaultdict[str, float] = defaultdict(float)
        self.items = ItemLosses()
        self.gradient_norm = torch.tensor(math.nan)
        self.step = 0
        self.tokens_trained = 0
        self._accumulated = Accumulated()
        self.train_loss = torch.tensor(math.nan)
        self.exchange: Exchange | None = None
        self.plan: Plan | None = None
        self.batch: Any = None
        self._resumed: dict[str, Any] | None = None
        self._compiled: Callable[..., Tensor] | None = None
        self._parameters_in_order: list[nn.Parameter] = []

    def can(self, what: str) -> bool:
        """Return whether the task can ``translate`` sentences, or ``generate`` continuations."""
        return what in self.abilities

    def build_model(self) -> Model:
        """Return a fresh model."""
        raise NotImplementedError

    def loss(self, batch: Any) -> tuple[Tensor, int]:
        """Return the training loss of ``batch`` and the number of tokens that it is a mean over."""
        raise NotImplementedError

    def hidden(self, *tokens: Tensor) -> Tensor:
        """Return what the logits of a training batch are made of (B, T, D), by compiled kernels under ``trainer.compile``.

        The model itself stays as it is: evaluations, decoding, maps and weights know nothing of these kernels.
        """
        if not self.config.trainer.compile:
            return self.model.hidden(*tokens)
        self._compiled = self._compiled or compiled(self.model.hidden, self.config)
        return self._compiled(*tokens)

    def mean_loss(self, hidden_BTD: Tensor, next_BT: Tensor, counts_BT: Tensor, smoothing: float) -> tuple[Tensor, int]:
        """Return the cross-entropy of ``next_BT``, a mean over the targets that count, and how many these are.

        Args:
            hidden_BTD: what the logits are made of.
            next_BT: the tokens to be predicted.
            counts_BT: boolean; False where nothing is to be predicted.
            smoothing: label smoothing (Szegedy et al. 2016, section 7).
        """
        tokens = int(counts_BT.sum())
        if tokens == counts_BT.numel():  # a choice of all would be a copy, and its gradient a slow one
            hidden_ND, next_N = hidden_BTD.flatten(0, 1), next_BT.flatten()
        else:
            hidden_ND, next_N = hidden_BTD[counts_BT], next_BT[counts_BT]
        return linear_cross_entropy(hidden_ND, self.model.embedding.tokens.weight, next_N, smoothing), tokens

    def begin_evaluation(self) -> None:
        """Begin new sums."""
        self.sums = defaultdict(float)
        self.items = ItemLosses()

    def evaluate_batch(self, batch: Any, split: str) -> None:
        """Add what ``batch`` contributes to ``self.items`` and ``self.sums``."""
        raise NotImplementedError

    def metrics(self, data: DataModule, split: str) -> dict[str, float]:
        """Return the metrics of a split from ``self.items`` and ``self.sums``."""
        raise NotImplementedError

    def signatures(self) -> dict[str, str]:
        """Return how metrics were computed, for those that have a signature."""
        return {}

    def predictions(self, data: DataModule) -> list[dict[str, Any]]:
        """Return what the model answers on the test split, after it was tested."""
        raise NotImplementedError

    def readable(self, batch: Any) -> list[dict[str, str]]:
        """Return the rows of a training batch as text."""
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
            source_vocab_size=None if self.config.data.tokenizer.joint else self.source_tokenizer.vocab_size,
            scale_embedding=backbone.scale_embedding,
            bias=backbone.bias,
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
            bias=self.config.backbone.bias,
        )

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:  # noqa: ARG002
        """Return what one batch adds to the gradient, or stop the run where its loss is no number."""
        self.batch = batch
        loss, tokens = self.loss(batch)
        mean = loss.detach()
        if self.exchange is not None:
            batch_number = self.step * self.config.trainer.accumulate + self._accumulated.batches
            loss, mean, tokens = self.exchange(batch_number, loss, tokens)
        if not math.isfinite(mean.item()):
            raise NotFinite(f"step {self.step}: the training loss is {mean.item()}")
        self.tokens_trained += tokens
        self._accumulated.add(mean, tokens)
        self.train_loss = self._accumulated.mean
        # Lightning divides by the number of batches; here each counts by its tokens, and their sum is divided at the end.
        return loss if self.config.trainer.accumulate == 1 else loss * (tokens * self.config.trainer.accumulate)

    @property
    def mid_step(self) -> bool:
        """Return whether the newest batch is not the last of its optimizer step."""
        return self._accumulated.batches > 0

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,  # noqa: ARG002
        gradient_clip_val: float | None = None,  # noqa: ARG002
        gradient_clip_algorithm: str | None = None,  # noqa: ARG002
    ) -> None:
        """Clip to ``optimizer.clip_norm``, and keep the norm for the record."""
        self._parameters_in_order = self._parameters_in_order or list(self.parameters())
        gradients = [p.grad for p in self._parameters_in_order if p.grad is not None]
        if self.config.trainer.accumulate > 1:
            torch._foreach_div_(gradients, self._accumulated.tokens)
        self.gradient_norm = nn.utils.get_total_norm(gradients)
        norm, longest = self.gradient_norm.item(), self.config.optimizer.clip_norm or math.inf
        if not math.isfinite(norm):
            raise NotFinite(f"step {self.step}: the gradient's norm is {norm}")
        if norm > longest:  # torch would multiply by 1 otherwise
            nn.utils.clip_grads_with_norm_(self._parameters_in_order, longest, self.gradient_norm)

    def optimizer_step(self, *arguments: Any, **options: Any) -> None:
        """Let the optimizer do a step, and count it."""
        super().optimizer_step(*arguments, **options)
        self.step += 1
        self._accumulated = Accumulated()

    def configure_optimizers(self) -> dict[str, Any]:
        """Return AdamW, which decays matrices alone, and its schedule."""
        config = self.config.optimizer
        embeddings = [m for m in self.modules() if isinstance(m, nn.Embedding)]
        spared = set() if config.decay_embeddings else {id(m.weight) for m in embeddings}
        decayed = [p for p in self.parameters() if p.dim() > 1 and id(p) not in spared]
        others = [p for p in self.parameters() if p.dim() <= 1 or id(p) in spared]
        optimizer = torch.optim.AdamW(
            [{"params": decayed, "weight_decay": config.weight_decay}, {"params": others, "weight_decay": 0.0}],
            lr=config.lr,
            betas=config.betas,
            eps=config.eps,
            fused=True,
        )
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: lr_factor(step, config, self._steps_known_at(step))
        )
        if self._resumed:
            # In this order: a new schedule writes its first learning rate into the optimizer.
            optimizer.load_state_dict(self._resumed["optimizer"])
            schedule.load_state_dict(self._resumed["schedule"])
            self._resumed = None
        self._optimizer, self._schedule = optimizer, schedule
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _steps_known_at(self, step: int) -> int | None:
        """Return how many steps the run has, as far as that is known when ``step`` (from 0) begins."""
        if self.config.trainer.max_time is None:
            return self.config.trainer.max_steps
        return self.plan.steps if self.plan and step > self.plan.after else None

    def training_state(self) -> dict[str, Any]:
        """Return all of the task that further training depends on: weights, optimizer, schedule, counts."""
        return {
            "step": self.step,
            "tokens_trained": self.tokens_trained,
            "model": dict(self.model.named_parameters()),
            "optimizer": self._optimizer.state_dict(),
            "schedule": self._schedule.state_dict(),
        }

    def resume(self, state: dict[str, Any]) -> None:
        """Go back to :meth:`training_state`; the optimizer follows when :meth:`configure_optimizers` makes it."""
        self.step, self.tokens_trained = state["step"], state["tokens_trained"]
        with torch.no_grad():
            for name, parameter in self.model.named_parameters():
                if state["model"][name].shape != parameter.shape:
                    raise ValueError(f"{name} has another shape")
                parameter.copy_(state["model"][name])
        self._resumed = {key: state[key] for key in ("optimizer", "schedule")}

    @torch.no_grad()
    def evaluate(self, data: DataModule, split: str, check: Callable[[], None] = lambda: None) -> dict[str, float]:
        """Return the metrics of a whole split, in evaluation mode; no random number is drawn.

        Args:
            data: the run's data.
            split: ``val`` or ``test``.
            check: called before each batch; may raise to end the evaluation.

        Raises:
            NotFinite: at the first batch of val whose loss is no number.
        """
        was_training = self.training
        self.eval()
        self.begin_evaluation()
        loader = data.val_dataloader() if split == "val" else data.test_dataloader()
        try:
            with autocast(self.config.trainer.precision, self.device):
                for batch in loader:
                    check()
                    self.batch = self.transfer_batch_to_device(batch, self.device, 0)
                    self.evaluate_batch(self.batch, split)
                    if split == "val" and not math.isfinite(self.items.total("nats")):
                        raise NotFinite(f"step {self.step}: the validation loss is {self.items.mean}")
        finally:
            self.train(was_training)
        return self.metrics(data, split)


def autocast(precision: str, device: torch.device) -> AbstractContextManager[Any]:
    """Return the context in which Lightning would run a forward pass at ``precision``."""
    return torch.autocast(device.type, torch.bfloat16) if precision == "bf16-mixed" else nullcontext()


def perplexity(loss: float) -> float:
    """Return e^loss, infinite where that is beyond floating point."""
    return math.exp(loss) if loss < 700 else math.inf
