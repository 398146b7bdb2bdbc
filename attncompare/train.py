"""One training run, from a config to a finished record."""

import logging
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Trainer

from attncompare.config import RunConfig
from attncompare.data.module import DataModule, Probe
from attncompare.errors import AttnCompareError, Refused, RunFailed
from attncompare.metric_names import METRICS
from attncompare.model.cost import Lengths, parameter_count, train_flops_per_token
from attncompare.model.initialize import stable_seed
from attncompare.tasks import Task, build_task
from attncompare.tracking.callback import Tracking
from attncompare.tracking.environment import environment
from attncompare.tracking.files import write_text
from attncompare.tracking.folders import create_folder, require_writable
from attncompare.tracking.interrupts import first_interrupt_only
from attncompare.tracking.page import MapSeries, maps_page
from attncompare.tracking.progress import OnProgress, Progress
from attncompare.tracking.record import RecordWriter, Run, State
from attncompare.tracking.run_log import RunLog
from attncompare.tracking.wandb_view import WandbView, require_login
from attncompare.tracking.weights import load_weights

log = logging.getLogger("attncompare")
TRAIN_COLUMNS = ("train/loss", "train/lr", "train/grad_norm", "train/tokens_per_second")


def train(
    config: RunConfig,
    overrides: Sequence[str] = (),
    *,
    parent: Path | None = None,
    group: str | None = None,
    threads: int | None = None,
    on_progress: OnProgress = lambda _: None,
    on_folder: Callable[[Path], None] = lambda _: None,
) -> Run:
    """Train one model and return its finished record.

    Args:
        config: what to train.
        overrides: what the user asked for, for the record.
        parent: the folder of the sweep that the run belongs to; by default the run stands under ``<runs>/<date>``.
        group: the name of that sweep.
        threads: CPU threads where the config leaves them open.
        on_progress: told where the run stands.
        on_folder: told the run's folder as soon as there is one.

    Raises:
        Refused: before anything is written, if the data or the login cannot serve.
        RunFailed: if the loss becomes NaN or infinite. The record says ``failed``, as it does for any other exception.
        KeyboardInterrupt: after the record was closed as ``interrupted``.
    """
    torch.set_num_threads(config.trainer.threads or threads or torch.get_num_threads())
    if config.tracking.wandb == "online":
        require_login()
    if config.trainer.accelerator == "gpu" and not torch.cuda.is_available():
        raise Refused("trainer.accelerator=gpu: no CUDA device found; use trainer=auto or trainer=cpu")
    require_writable(config.runs)
    on_progress(Progress("preparing data", 0, config.trainer.max_steps))
    with RunLog() as run_log, first_interrupt_only():
        data = DataModule(config)
        data.prepare()
        probes = data.probes(config.tracking.probes)
        task = build_task(config, data.tokenizer)
        folder = create_folder(config, parent)
        on_folder(folder)
        run_log.write_to(folder / "run.log")
        record = RecordWriter(folder, config, overrides, _columns(config))
        return _Session(record, group, task, data=data, probes=probes, on_progress=on_progress).run()


def _columns(config: RunConfig) -> list[str]:
    """Return all metrics that a run will ever log."""
    return [*TRAIN_COLUMNS, *(f"val/{name}" for name, metric in METRICS.items() if config.task.name in metric.tasks)]


class _Session:
    """The parts of one run, and its end, whichever it is."""

    def __init__(
        self,
        record: RecordWriter,
        group: str | None,
        task: Task,
        *,
        data: DataModule,
        probes: list[Probe],
        on_progress: OnProgress,
    ) -> None:
        self.record, self.config, self.group, self.task, self.data = record, record.config, group, task, data
        self.probes, self.on_progress = probes, on_progress
        self.view: WandbView | None = None

    def run(self) -> Run:
        state: State = "failed"
        message: str | None = None
        try:
            self._open()
            self._fit()
            self._finish()
            state = "finished"
        except KeyboardInterrupt:
            state, message = "interrupted", f"interrupted at step {self.task.global_step}"
            raise
        except RunFailed as error:
            message = f"{error}; {self._last_good()}"
            raise RunFailed(f"{self.record.path}: {message}") from None
        except AttnCompareError as error:
            message = str(error)
            raise
        except Exception as error:
            message = f"{type(error).__name__}: {error}"
            log.exception("the run failed")
            raise
        finally:
            self.record.close(state, message)
            if self.view:
                self.view.finish(state, self._wandb_summary())
        return Run.open(self.record.path)

    def _open(self) -> None:
        data = self.data
        self.record.environment(environment(data.fingerprint))
        self.record.update(data={"fingerprint": data.fingerprint, **data.report})
        data.tokenizer.save(self.record.path / "tokenizer.json")
        if self.config.tracking.wandb != "disabled":
            self.view = WandbView(self.record.path, self.config, self.group)
        self.tracking = Tracking(self.record, self.view, self.task, self.probes, self.on_progress)

    def _fit(self) -> None:
        config = self.config.trainer
        with warnings.catch_warnings():
            # Batches are built in this process on purpose: they are cheap, and one process is easier to repeat.
            warnings.filterwarnings("ignore", ".*does not have many workers.*")
            warnings.filterwarnings("ignore", ".*number of training batches.*")
            warnings.filterwarnings("ignore", ".*LeafSpec.*")  # a deprecation between Lightning and torch
            trainer = Trainer(
                accelerator=config.accelerator,
                devices=1,
                precision=config.precision,
                max_steps=config.max_steps,
                val_check_interval=config.validate_every,
                check_val_every_n_epoch=None,
                limit_train_batches=config.limit_batches,
                limit_val_batches=config.limit_batches,
                limit_test_batches=config.limit_batches,
                gradient_clip_val=self.config.optimizer.clip_norm,
                deterministic=config.deterministic,
                callbacks=[self.tracking],
                num_sanity_val_steps=0,
                logger=False,
                enable_checkpointing=False,
                enable_progress_bar=False,
                enable_model_summary=False,
            )
            # From here on the global generator serves dropout alone: it has a stream of its own (C5).
            torch.manual_seed(stable_seed(self.config.seed, "dropout"))
            self._interruptible(trainer, lambda: trainer.fit(self.task, self.data))
            if self.tracking.validated_step != trainer.global_step:
                self._interruptible(trainer, lambda: trainer.validate(self.task, self.data, verbose=False))
            self.tracking.watch.stop()
            self.trained_steps = trainer.global_step
            load_weights(self.record.path / "checkpoints" / "best.safetensors", self.task.model)
            self.on_progress(Progress("testing", self.trained_steps, config.max_steps))
            self._interruptible(trainer, lambda: trainer.test(self.task, self.data, verbose=False))

    def _interruptible(self, trainer: Trainer, work: Callable[[], Any]) -> None:
        """Lightning ends the process on Ctrl-C; the record must be closed first."""
        try:
            work()
        except SystemExit:
            if trainer.interrupted:
                raise KeyboardInterrupt from None
            raise

    def _finish(self) -> None:
        self.on_progress(Progress("writing the record", self.trained_steps, self.config.trainer.max_steps))
        self.task.eval()
        predictions = self.task.predictions()
        self.record.predictions(predictions)
        self.record.update(
            best_step=self.tracking.best_step,
            steps=self.trained_steps,
            val=self.task.results["val"],
            test=self.task.results["test"],
            signatures=self.task.signatures(),
            cost=self._cost(),
            weights_sha256=self.tracking.weights_sha256,
        )
        page = self._maps_page()
        if self.view:
            self.view.results(predictions, self.tracking.maps, page)

    def _cost(self) -> dict[str, float]:
        tracking = self.tracking
        assert tracking.memory is not None
        return {
            "parameters": parameter_count(self.task.model),
            "train_flops_per_token": train_flops_per_token(self.task.model, self._mean_lengths()),
            "tokens_per_second": self.task.tokens_trained / max(tracking.watch.seconds, 1e-9),
            "peak_memory_bytes": tracking.memory.bytes(),
            "train_seconds": tracking.watch.seconds,
        }

    def _mean_lengths(self) -> Lengths:
        train = self.data.report["train"]
        if "source_tokens" not in train:
            return Lengths(0, self.config.task.max_length)
        kept = train["rows"] - train["left_out"]
        return Lengths(train["source_tokens"] / kept, train["target_tokens"] / kept)

    def _maps_page(self) -> str | None:
        if not self.tracking.maps:
            return None
        page = maps_page(self.record.path.name, [MapSeries(self.config.attention.name, self.tracking.maps)])
        write_text(self.record.path / "maps" / "index.html", page)
        return page

    def _last_good(self) -> str:
        if not self.tracking.best_step:
            return "no checkpoint was written before"
        return f"the last good weights are those of step {self.tracking.validated_step}, checkpoints/last.safetensors"

    def _wandb_summary(self) -> dict[str, Any]:
        summary = self.record.summary
        parts = {part: summary.get(part, {}) for part in ("test", "cost")}
        figures = {f"{part}/{name}": value for part, values in parts.items() for name, value in values.items()}
        return {**figures, "message": summary["message"]}
