"""What the tasks share: a LightningModule around a model, its optimizer and schedule, and its evaluation by metrics."""

import math
import sys
import time
from abc import abstractmethod
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal, get_args

import torch
from pydantic import field_validator
from pytorch_lightning import LightningModule
from torch import Tensor, nn
from torchmetrics import MetricCollection

from attncompare.attention import Attention
from attncompare.attention.kernels.build import before_compiling
from attncompare.attention.kernels.cross_entropy import linear_cross_entropy
from attncompare.config import PartConfig, RunConfig
from attncompare.config.schema import OptimizerConfig
from attncompare.config.values import AtLeastTwo
from attncompare.data.dataset import COLUMNS
from attncompare.data.tokenizer import PAD, Tokenizer
from attncompare.errors import NotFinite, Refused
from attncompare.model import Architecture, Lengths, Site, Vocabulary, initialize, new_model
from attncompare.tasks.metrics import metric, metrics_of

Split = Literal["val", "test"]


class TaskConfig(PartConfig):
    """What every section ``task`` has."""

    max_length: AtLeastTwo
    metrics: tuple[str, ...]

    @field_validator("metrics")
    @classmethod
    def _known(cls, metrics: tuple[str, ...]) -> tuple[str, ...]:
        for name in metrics:
            try:
                metric(name)
            except Refused as error:
                raise ValueError(str(error)) from None
        if "loss" not in metrics or len(set(metrics)) < len(metrics):
            raise ValueError("must name loss, which every task has, and each metric once")
        return metrics


@dataclass(frozen=True)
class Plan:
    """How many steps a run with a time budget has, known only some way into it.

    Attributes:
        after: the step after which it was known: the schedule of the steps beyond goes by it.
        steps: of the whole run.
    """

    after: int
    steps: int


class Task(LightningModule):
    """A model and what it is trained for; a task is a subclass in a file of its own.

    A subclass sets the attributes and implements the abstract methods. It trains in any ``pl.Trainer``.

    Args:
        config: the run.
        tokenizer: the tokenizer of the run's data; with separate vocabularies that of the target.
        source_tokenizer: that of the source then; None: the source, if there is one, shares ``tokenizer``.

    Attributes:
        title: what tables call the task.
        data_kind: the kind of datasets that it learns from (:attr:`attncompare.data.dataset.Dataset.kind`).
        architecture: which of a backbone's models it trains: ``decoder_only``, ``encoder_only`` or ``encoder_decoder``.
        outputs: what :meth:`evaluate_batch` returns, for metrics to choose from.
        fixed_shapes: whether all training batches have one shape, so that compiled kernels repeat their bits.
        always_causal: whether each self-attention is causal whatever the variant says.
        abilities: what a trained model can be asked for, by the names of commands: ``translate``, ``generate``, ``classify``, ...
        specials: further tokens that its tokenizer has, such as ``<mask>``.
        reads_prefix: whether the first tokens of a sequence may be given, so that a mask may open them.
        cached_numbers: how many numbers a cache holds of each position, by site and layer of the attention.
        plan: how many steps a time budget gives, once that is known.
        last_step: the step that ends training, as far as is known.
        row: the newest row of training metrics.
        tokens_trained: tokens that the training loss was a mean over, since the run began.
        batch: the newest batch, of training or of an evaluation.
    """

    Config: ClassVar[type[TaskConfig]]
    title: ClassVar[str]
    data_kind: ClassVar[str]
    architecture: ClassVar[Architecture]
    outputs: ClassVar[tuple[str, ...]]
    fixed_shapes: ClassVar[bool] = False
    always_causal: ClassVar[bool] = False
    abilities: ClassVar[tuple[str, ...]] = ()
    specials: ClassVar[tuple[str, ...]] = ()
    reads_prefix: ClassVar[bool] = False
    cached_numbers: dict[tuple[str, int], int]
    _made: dict[str, list[Attention]]

    def __init__(self, config: RunConfig, tokenizer: Tokenizer, source_tokenizer: Tokenizer | None = None) -> None:
        super().__init__()
        self.config = config
        self.tokenizer, self.source_tokenizer = tokenizer, source_tokenizer or tokenizer
        self.model: Any = self.build_model()
        initialize(self.model, config.seed, getattr(config.backbone, "init", "xavier"))
        self.metrics: Any = MetricCollection(
            {name: one.of(config) for name, one in metrics_of(config).items()}, compute_groups=False
        )
        self.plan: Plan | None = None
        self.tokens_trained = 0
        self.batch: Any = None
        self.gradient_norm = torch.tensor(math.nan)
        self.last_step = config.trainer.max_steps or sys.maxsize
        self.row: dict[str, float] = {}
        self._loss_sum, self._steps_summed = 0.0, 0
        self._seconds, self._since = 0.0, None  # type: float, float | None
        self._at_row = (0, 0.0)  # tokens and seconds
        self._compiled: Callable[..., Tensor] | None = None
        self._ordered: list[nn.Parameter] = []

    @staticmethod
    def declared() -> dict[str, Collection[str]]:
        """Return the names that class attributes may have."""
        return {"architecture": get_args(Architecture), "data_kind": COLUMNS}

    def can(self, ability: str) -> bool:
        """Return whether the task has one of the ``abilities``."""
        return ability in self.abilities

    @property
    def sites(self) -> dict[str, Site]:
        """The attention sites of the model."""
        return self.model.sites

    @property
    def attentions(self) -> dict[str, list[Attention]]:
        """The attention modules at each of the ``sites``, layer by layer.

        Raises:
            Refused: if a site is called by another name than the model asked :meth:`make_attention` for.
        """
        found = {name: self._made.get(name.removesuffix("_self"), []) for name in self.sites}
        for name, modules in found.items():
            if not modules:
                raise Refused(
                    f"site '{name}': the model asked for no attention there; it asked for: {', '.join(self._made)}"
                )
        return found

    def build_model(self) -> Any:
        """Return a fresh model: the ``architecture`` of the configured backbone.

        Raises:
            Refused: if ``attention`` says something of a site or layer that the model does not have.
        """
        self.cached_numbers, self._made = {}, {}
        make_attention = None if self.config.attention.score is None else self.make_attention
        model = new_model(self.architecture, self.config.backbone, self.vocabulary, make_attention)
        sites, layers = ({str(place[part]) for place in self.cached_numbers} for part in (0, 1))
        for group, asked, there in (
            ("sites", self.config.attention.sites, sites),
            ("layers", self.config.attention.layers, layers),
        ):
            if lacking := [place for place in asked if place not in there]:
                valid = ", ".join(sorted(there, key=lambda place: place.zfill(4)))
                raise Refused(f"attention.{group}.{lacking[0]}: the model has no attention there; valid: {valid}")
        return model

    @classmethod
    def prepared(cls, batch: Any, config: RunConfig, tokenizer: Tokenizer, key: tuple[str | int, ...]) -> Any:  # noqa: ARG003
        """Return a batch of the data as the task reads it, before it is cut into parts; by default as it is.

        Args:
            batch: some rows.
            config: the run.
            tokenizer: of the text.
            key: what random numbers may follow from, besides the rows themselves, so that all variants have the same: of
                training its name, the seed of the order and the epoch; of val and test the name and ``data_seed``.
        """
        return batch

    def lengths(self, counts: dict[str, Any]) -> Lengths:
        """Return how many tokens a sequence of training has on average: those read, and those that the loss is a mean over.

        Args:
            counts: of the train split (:attr:`attncompare.data.module.DataModule.report`).
        """
        if "source_tokens" in counts:
            rows = counts["rows"] - counts["left_out"]
            return Lengths(counts["source_tokens"] / rows, counts["target_tokens"] / rows)
        return Lengths(0, self.config.task.max_length)

    @abstractmethod
    def loss(self, batch: Any) -> Tensor:
        """Return the training loss of ``batch``, a mean over its scored tokens."""

    @abstractmethod
    def evaluate_batch(self, batch: Any, split: Split) -> dict[str, Any]:
        """Return what metrics are computed from, by the names of their arguments (:class:`attncompare.tasks.metrics.Metric`)."""

    @abstractmethod
    def predictions(self) -> list[dict[str, Any]]:
        """Return what the model answers on the test split, right after it was tested: plain JSON.

        Of the texts in a row the last is the answer; ``reference`` is what it should be.
        """

    def baselines(self) -> dict[str, dict[str, float]]:
        """Return what needs no model comes to on the test split, right after it was tested: by name, metric by metric.

        It stands beside the figures of models; none unless a task has some.
        """
        return {}

    @abstractmethod
    def readable(self, batch: Any) -> list[dict[str, str]]:
        """Return the rows of a training batch as text."""

    @abstractmethod
    def probe_weights(self, source_ids: list[int] | None, target_ids: list[int]) -> dict[str, Tensor]:
        """Return the attention weights of one sequence by site, each (layers, H, T, S).

        Row t belongs to the position that reads ``target_ids[t]`` and predicts the token after it; of an encoder alone, which
        is given no ``target_ids``, to that which reads ``source_ids[t]``.
        """

    def make_attention(self, site: str = "decoder", layer: int = 1) -> Attention:
        """Return the attention module of the configured variant for a site of a layer, from 1."""
        variant = self.config.attention_at(site, layer)
        parts = {name: value for name, value in variant if name not in ("name", "sites", "layers")}
        bias = getattr(self.config.backbone, "bias", True)
        made = Attention(self.config.backbone.d_model, **parts, bias=bias, layer=layer)
        self.cached_numbers[site, layer] = made.cached_numbers(of_memory=site == "cross")
        self._made.setdefault(site, []).append(made)
        if made.score.longest is not None and made.score.longest < self.config.task.max_length:
            what = f"attention.score: {type(made.score).__name__} has parameters for {made.score.longest} positions"
            raise Refused(f"{what}, fewer than task.max_length={self.config.task.max_length}")
        return made

    @property
    def vocabulary(self) -> Vocabulary:
        """The tokens that the model reads and writes."""
        source = None if self.source_tokenizer is self.tokenizer else self.source_tokenizer.vocab_size
        return Vocabulary(self.tokenizer.vocab_size, self.config.task.max_length, PAD, source)

    def hidden(self, *tokens: Tensor) -> Tensor:
        """Return what the logits of a training batch are made of (B, T, D), by compiled kernels under ``trainer.compile``.

        The model itself stays as it is: evaluations, decoding, maps and weights know nothing of these kernels.
        """
        if not self.config.trainer.compile:
            return self.model.hidden(*tokens)
        if self._compiled is None:
            before_compiling()
            self._compiled = torch.compile(self.model.hidden, dynamic=not self.fixed_shapes)
        return self._compiled(*tokens)

    def mean_loss(self, hidden_BTD: Tensor, next_BT: Tensor, scored_BT: Tensor, smoothing: float = 0.0) -> Tensor:
        """Return the cross-entropy of ``next_BT``, a mean over the scored targets, in nats; 0 where there is none.

        Args:
            hidden_BTD: what the logits are made of.
            next_BT: the tokens to be predicted.
            scored_BT: boolean; False where nothing is to be predicted.
            smoothing: label smoothing (Szegedy et al. 2016, section 7).
        """
        if bool(scored_BT.all()):  # a choice of all would be a copy, and its gradient a slow one
            hidden_ND, next_N = hidden_BTD.flatten(0, 1), next_BT.flatten()
        else:
            hidden_ND, next_N = hidden_BTD[scored_BT], next_BT[scored_BT]
            if not len(next_N):
                return hidden_ND.sum()  # with the gradient 0, as ddp awaits one
        return linear_cross_entropy(hidden_ND, self.model.output_weight, next_N, smoothing)

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        """Return what one batch, or one part of it, adds to the gradient; NaN or infinity ends the run."""
        self.batch = batch
        loss = self.loss(batch)
        value = loss.item()
        self._loss_sum += value * batch.share
        if self.trainer.world_size == 1 and not math.isfinite(value):  # several ranks see it in the shared gradient
            raise NotFinite(f"step {self.global_step}: the training loss is {value}")
        # Lightning takes the mean over the parts, and ddp over the ranks; each counts by its tokens.
        parts = self.trainer.accumulate_grad_batches * self.trainer.world_size
        return loss if parts == 1 else loss * (batch.share * parts)

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Go on counting seconds."""
        if self._since is None:
            self._since = time.perf_counter()

    def optimizer_step(self, *arguments: Any, **options: Any) -> None:
        """Let the optimizer do a step, and log a row of metrics every ``trainer.log_every`` steps and after the last one.

        Here, and not at the end of the batch, so that a checkpoint that callbacks write there holds the row.
        """
        super().optimizer_step(*arguments, **options)
        step = self.global_step + 1
        self.tokens_trained += self.batch.step_tokens
        self._steps_summed += 1
        if step % self.config.trainer.log_every and step != self.last_step:
            return
        mean = self._loss_sum / self._steps_summed  # over the steps since the last row
        loss = torch.tensor(mean, dtype=torch.float64)
        tokens, seconds = self.tokens_trained - self._at_row[0], self.seconds - self._at_row[1]
        self._loss_sum, self._steps_summed, self._at_row = 0.0, 0, (self.tokens_trained, self.seconds)
        values = {
            "train/loss": self.trainer.strategy.reduce(loss, reduce_op="sum"),
            "train/lr": self.trainer.optimizers[0].param_groups[0]["lr"],
            "train/grad_norm": self.gradient_norm,
            "train/tokens_per_second": tokens / max(seconds, 1e-9),
        }
        self.row = self.log_row(values, step, prog_bar="train/loss")

    def log_row(self, values: dict[str, Any], step: int, prog_bar: str) -> dict[str, float]:
        """Log ``values`` after ``step`` optimizer steps, which Lightning would count from 0, and return the row.

        Each row says how many tokens and seconds of training it took, so that what two runs reached with the same
        tokens, or in the same time, can be told later.
        """
        batches = self.trainer.num_training_batches
        known = int(batches) if math.isfinite(batches) else 1  # infinite where nothing is trained
        steps_per_epoch = max(1, known // self.trainer.accumulate_grad_batches)
        facts = {
            "train/tokens": self.tokens_trained,
            "train/seconds": self._at_row[1] if prog_bar.startswith("train") else self.seconds,
            "epoch": max(0, step - 1) // steps_per_epoch,
            "step": step,
        }
        row = {name: torch.as_tensor(value, dtype=torch.float64).cpu() for name, value in {**values, **facts}.items()}
        for name, value in row.items():
            self.log(
                name, value, prog_bar=name == prog_bar, batch_size=1, reduce_fx="max" if name == "step" else "mean"
            )
        return {name: value.item() for name, value in row.items()}

    @property
    def seconds(self) -> float:
        """Seconds of training steps alone; validations, checkpoints and maps do not count."""
        return self._seconds + (0.0 if self._since is None else time.perf_counter() - self._since)

    def pause(self) -> None:
        """Stop counting seconds until the next step."""
        self._seconds, self._since = self.seconds, None

    def on_validation_start(self) -> None:
        """Stop counting seconds."""
        self.pause()

    def on_validation_epoch_start(self) -> None:
        """Begin new sums."""
        self.metrics.reset()

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        """Add a batch to the metrics of val; no random number is drawn."""
        self.batch = batch
        outputs = self._outputs(batch, "val")
        if not bool(outputs["nats_N"].isfinite().all()):
            raise NotFinite(f"step {self.global_step}: the validation loss is NaN or infinite")
        self.metrics.update(**outputs)

    def on_validation_epoch_end(self) -> None:
        """Log the metrics of val."""
        values = {f"val/{name}": one.compute() for name, one in self.metrics.items()}
        self.log_row(values, self.global_step, prog_bar="val/loss")

    def on_test_epoch_start(self) -> None:
        """Begin new sums."""
        self.metrics.reset()

    def test_step(self, batch: Any, batch_idx: int) -> None:
        """Add a batch to the metrics of test."""
        self.batch = batch
        self.metrics.update(**self._outputs(batch, "test"))

    def on_test_epoch_end(self) -> None:
        """Log the metrics of test."""
        values = {f"test/{name}": one.compute() for name, one in self.metrics.items()}
        self.log_dict({name: torch.as_tensor(value, dtype=torch.float64) for name, value in values.items()})

    def _outputs(self, batch: Any, split: Split) -> dict[str, Any]:
        outputs = self.evaluate_batch(batch, split)
        if lacking := [one for one in self.outputs if one not in outputs]:
            raise Refused(
                f"task '{self.config.task.name}': evaluate_batch must return {', '.join(lacking)}, as outputs says"
            )
        return outputs

    def item_rows(self) -> list[dict[str, Any]]:
        """Return one row for each item of the newest evaluation: ``id``, and the sums of each metric that has some."""
        sums = {name: one.item_sums() for name, one in self.metrics.items()}
        items = sorted({item for rows in sums.values() for item in rows})
        return [{"id": item, **{name: rows[item] for name, rows in sums.items() if item in rows}} for item in items]

    def signatures(self) -> dict[str, str]:
        """Return how metrics were computed, for those that have a signature."""
        return {name: one.signature() for name, one in self.metrics.items() if one.signature()}

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip to ``optimizer.clip_norm``, and remember the norm for the row; NaN or infinity ends the run."""
        self._ordered = self._ordered or list(self.parameters())
        gradients = [p.grad for p in self._ordered if p.grad is not None]
        self.gradient_norm = nn.utils.get_total_norm(gradients)
        norm, longest = self.gradient_norm.item(), self.config.optimizer.clip_norm or math.inf
        if not math.isfinite(norm):
            raise NotFinite(f"step {self.global_step}: the gradient's norm is {norm}")
        if norm > longest:  # torch would multiply by 1 otherwise
            nn.utils.clip_grads_with_norm_(self._ordered, longest, self.gradient_norm)

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
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _steps_known_at(self, step: int) -> int | None:
        """Return how many steps the run has, as far as that is known when ``step`` (from 0) begins."""
        if self.config.trainer.max_time is None:
            return self.last_step
        return self.plan.steps if self.plan and step > self.plan.after else None

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what the rows and the schedule of further training depend on."""
        checkpoint["task"] = {
            "tokens_trained": self.tokens_trained,
            "seconds": self.seconds,
            "loss": [self._loss_sum, self._steps_summed],
            "at_row": list(self._at_row),
            "plan": asdict(self.plan) if self.plan else None,
            "last_step": self.last_step,
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Go back to :meth:`on_save_checkpoint`; a plan that was made after it stays."""
        state = checkpoint["task"]
        self.tokens_trained, self._seconds = state["tokens_trained"], state["seconds"]
        self._loss_sum, self._steps_summed = state["loss"]
        self._at_row = (state["at_row"][0], state["at_row"][1])
        if state["plan"] is not None:
            self.plan, self.last_step = Plan(**state["plan"]), state["last_step"]


def lr_factor(step: int, config: OptimizerConfig, steps: int | None) -> float:
    """Return the factor on ``optimizer.lr`` for step ``step`` (from 0): linear warm-up to 1, then the schedule.

    - ``constant``: 1.
    - ``linear``, ``cosine`` (Loshchilov and Hutter 2017): down to ``min_lr_ratio`` at the last step.
    - ``inverse_sqrt``: sqrt(warmup_steps / step) (Vaswani et al. 2017, equation 3).

    Args:
        step: from 0.
        config: of the schedule.
        steps: how many the run has; None: not known yet, so that ``linear`` and ``cosine`` stay at 1 after the warm-up.
    """
    if step < config.warmup_steps:
        return (step + 1) / (config.warmup_steps + 1)
    done = 0.0 if steps is None else min(1.0, (step - config.warmup_steps) / max(1, steps - 1 - config.warmup_steps))
    span = 1 - config.min_lr_ratio
    match config.schedule:
        case "constant":
            return 1.0
        case "linear":
            return 1 - span * done
        case "cosine":
            return config.min_lr_ratio + span * (1 + math.cos(math.pi * done)) / 2
        case "inverse_sqrt":
            return math.sqrt(max(1, config.warmup_steps) / max(1, step))
