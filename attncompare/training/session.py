"""One run between the opening and the closing of its record, whichever way it ends."""

import json
import logging
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from pytorch_lightning import Trainer

from attncompare.data.module import DataModule, Probe
from attncompare.data.order import Loader
from attncompare.errors import NotFinite, Refused, RunFailed
from attncompare.maps.page import MapSeries, maps_page
from attncompare.model.cost import Lengths, parameter_count, train_flops_per_token
from attncompare.model.initialize import stable_seed
from attncompare.record import BEST_WEIGHTS, RecordLogger, Run, State, environment, load_weights, write_text
from attncompare.tasks import Task
from attncompare.tasks.exchange import Exchange
from attncompare.training.averaging import remove_snapshots, take_average
from attncompare.training.callback import Tracking
from attncompare.training.checkpoint import remove_checkpoints
from attncompare.training.faults import explain, save_failure
from attncompare.training.interrupts import Stop
from attncompare.training.processes_fitting import make_trainer
from attncompare.training.processes_others import Others
from attncompare.training.progress import OnProgress, Progress
from attncompare.training.random_states import seed_all
from attncompare.wandb_logging import final_figures

if TYPE_CHECKING:
    from attncompare.wandb_logging import GuardedWandbLogger

log = logging.getLogger("attncompare")


class Session:
    """The parts of one run.

    Args:
        record: where everything is written.
        task: what is trained.
        data: its data, prepared.
        probes: the sentences whose maps are kept.
        stop: told when the run shall end early.
        stop_after: the step after which it shall; None: the last.
        on_progress: told where the run stands.
        others: the processes that train beside this one; None: there are none.
    """

    def __init__(
        self,
        record: RecordLogger,
        task: Task,
        data: DataModule,
        probes: list[Probe],
        *,
        stop: Stop,
        stop_after: int | None,
        on_progress: OnProgress,
        others: Others | None = None,
    ) -> None:
        self.others = others
        self.record, self.config, self.task, self.data = record, record.config, task, data
        self.probes, self.stop, self.stop_after, self.on_progress = probes, stop, stop_after, on_progress
        self.view: GuardedWandbLogger | None = None
        self.tracking: Tracking | None = None

    def run(self, checkpoint: dict[str, Any] | None = None) -> Run:
        """Train, from ``checkpoint`` where there is one, test, and close the record.

        Raises:
            RunFailed: if it could not end well for a reason that has a name; the record says ``failed`` then, as it
                does for any other exception.
            KeyboardInterrupt: after the record was closed as ``interrupted``.
        """
        try:
            tracking = self._open(checkpoint)
            self._fit(tracking, resumed=checkpoint is not None)
            self._finish()
            self._close("finished", None)
        except BaseException as error:
            self._fail(error)
        else:
            self._clear()
        return Run.open(self.record.path)

    def _clear(self) -> None:
        """Remove what a finished run needs no more; it is finished all the same if that fails."""
        try:
            remove_checkpoints(self.record.path)
            remove_snapshots(self.record.path)
        except OSError as error:
            log.warning("%s: its resume checkpoints could not be removed (%s)", self.record.path, error.strerror)

    def _open(self, checkpoint: dict[str, Any] | None) -> Tracking:
        record, data, config = self.record, self.data, self.config
        if not (record.path / "environment.json").exists():
            record.environment(environment(data.fingerprint))
        record.update(data={"fingerprint": data.fingerprint, **data.report})
        write_text(record.path / "tokenizer.json", data.tokenizer.to_text())
        if data.source_tokenizer is not None:
            write_text(record.path / "source_tokenizer.json", data.source_tokenizer.to_text())
        if config.tracking.wandb != "disabled":
            from attncompare.wandb_logging import make_wandb_logger

            self.view = make_wandb_logger(config, record.path, record.summary["wandb"]["id"], record.summary["group"])
            if self.view and self.view.problem:
                self.on_progress(Progress(self.view.problem, self.task.step, config.trainer.max_steps))
        options = {
            "stop": self.stop,
            "stop_after": self.stop_after,
            "on_progress": self.on_progress,
            "others": self.others,
        }
        self.tracking = Tracking(record, self.view, self.task, data, self.probes, **options)  # type: ignore[arg-type]
        if checkpoint is not None:
            self.tracking.resume(checkpoint)
            if self.view:
                self.view.log_record(Run.open(record.path))
        return self.tracking

    def _fit(self, tracking: Tracking, resumed: bool) -> None:
        task = self.task
        trainer = make_trainer(self.config, tracking)
        task.to(trainer.strategy.root_device)
        if resumed and tracking.ending.is_due(task.step):
            tracking.validate()  # the checkpoint was written before it
        # From here on the global generators serve dropout alone: it has a stream of its own (C5).
        seed_all(stable_seed(self.config.seed, "dropout"))
        self.data.first_step = task.step
        if tracking.ended_by is None:
            with self._company(trainer, resumed):
                _interruptible(trainer, lambda: trainer.fit(task, self._batches()), self.stop)
        task.to(trainer.strategy.root_device)  # Lightning has taken it from there
        if tracking.ended_by != "max_steps":
            log.info("training ended at step %d by trainer.%s", task.step, tracking.ended_by)
        self.on_progress(Progress("testing", task.step, tracking.ending.last))
        self.record.update(
            **self._result_weights(tracking),
            **tracking.ending.facts(task.step),
            ended_by=tracking.ended_by,
            best_step=tracking.best.step,
            steps=task.step,
            val=tracking.val,
            test=task.evaluate(self.data, "test", self.stop.check),
            signatures=task.signatures(),
            cost=self._cost(tracking),
            weights_sha256=tracking.weights_sha256,
            training_state_sha256=tracking.training_state_sha256,
        )

    def _result_weights(self, tracking: Tracking) -> dict[str, Any]:
        """Load the weights that are tested, and return which they are."""
        if tracking.snapshots is None:
            load_weights(self.record.path / BEST_WEIGHTS, self.task.model)
            return {"tested": "best"}
        average = take_average(self.record.path, tracking.snapshots, self.task, self.data, self.stop.check)
        return {"tested": "averaged", "averaged": average}

    def _company(self, trainer: Trainer, resumed: bool) -> AbstractContextManager[None]:
        """Return the context in which the run's processes train together."""
        if self.others is None:
            return nullcontext()
        folder = self.record.path if resumed else None
        return self.others.training(trainer.strategy.root_device, folder, self.stop.check)

    def _batches(self) -> Loader:
        loader = self.data.train_dataloader()
        if self.others is not None:
            self.task.exchange = Exchange(loader.order, lambda: self._ends_after(self.task.step + 1))
        return loader

    def _ends_after(self, step: int) -> bool:
        return self.stop.reason is not None or step == self.stop_after

    def _finish(self) -> None:
        self.on_progress(Progress("writing the record", self.task.step, self.config.trainer.max_steps))
        self.task.eval()
        predictions = self.task.predictions(self.data)
        self.record.predictions(predictions)
        rows = self.task.items.rows()
        self.record.items({"id": row.pop("id"), "loss": list(map(float, row.values()))} for row in rows)
        maps = Run.open(self.record.path).maps()
        page = None
        if maps:
            page = maps_page(self.record.path.name, [MapSeries(self.config.attention.name, maps)])
            write_text(self.record.path / "maps" / "index.html", page)
        if self.view:
            self.view.log_results(predictions, maps, page)

    def _cost(self, tracking: Tracking) -> dict[str, float]:
        seconds = tracking.watch.seconds
        return {
            "parameters": parameter_count(self.task.model),
            "train_flops_per_token": train_flops_per_token(self.task.model, self._mean_lengths()),
            "tokens_per_second": self.task.tokens_trained / max(seconds, 1e-9),
            "peak_memory_bytes": tracking.peak_memory_bytes,
            "train_seconds": seconds,
        }

    def _mean_lengths(self) -> Lengths:
        train = self.data.report["train"]
        if "source_tokens" not in train:
            return Lengths(0, self.config.task.max_length)
        kept = train["rows"] - train["left_out"]
        return Lengths(train["source_tokens"] / kept, train["target_tokens"] / kept)

    def _fail(self, error: BaseException) -> None:
        """Close the record of a run that did not finish, and raise what ended it, in words where there are some."""
        stopped = isinstance(error, KeyboardInterrupt)
        known = self._why_stopped() if stopped else explain(error, self.config, self.record.path)
        if isinstance(error, NotFinite):
            known = f"{known}; {self._last_good()}; {self._kept()}"
        if known is None:
            log.exception("the run failed")
        message = known or f"{type(error).__name__}: {error}"
        try:
            self._close("interrupted" if stopped else "failed", message)
        except OSError as second:
            where = f"{second.filename}: {second.strerror}"
            raise RunFailed(f"{self.record.path}: {message}; nor could its record be closed ({where})") from None
        if stopped and self._as_asked():
            return
        if stopped or known is None or isinstance(error, Refused):
            raise error
        raise RunFailed(f"{self.record.path}: {message}") from None

    def _as_asked(self) -> bool:
        return self.stop.reason is None and self.task.step == self.stop_after

    def _why_stopped(self) -> str:
        if self._as_asked():
            return f"stopped after step {self.stop_after}, as asked"
        return f"interrupted at step {self.task.step}" + (f" by {self.stop.reason}" if self.stop.reason else "")

    def _kept(self) -> str:
        try:
            return save_failure(self.record.path, self.task)
        except OSError as error:
            return f"the batch could not be kept for inspection ({error.strerror})"

    def _last_good(self) -> str:
        if self.tracking is None or not self.tracking.validated_step:
            return "no weights were written before"
        return f"the last good weights are those of step {self.tracking.validated_step}, checkpoints/last.safetensors"

    def _close(self, state: State, message: str | None) -> None:
        """Close the record, and W&B's view of it: before, where the record is sealed then; else after, as it may last."""
        if state == "finished":
            self._finish_view(state, message)
            with self.stop.deferred():  # it is finished from here on, whoever wants to stop it
                self._seal()
            return
        self.record.close(state, message)
        if self.view:
            self._finish_view(state, message)
            self.record.update()

    def _seal(self) -> None:
        try:
            self.record.close("finished")
        except OSError as error:
            # Its summary has its name before the folder is synced: nothing is missing but the promise that it lasts.
            if Run.open(self.record.path).state != "finished":
                raise
            log.warning("%s: finished, but a loss of power now could undo that (%s)", self.record.path, error.strerror)

    def _finish_view(self, state: State, message: str | None) -> None:
        if self.view is None:
            return
        summary, file = self.record.summary, self.record.path / "environment.json"
        environment = json.loads(file.read_text()) if file.exists() else {}
        self.view.finish(state, final_figures({**summary, "message": message}, environment))
        summary["wandb"]["missing"] = self.view.problem


def _interruptible(trainer: Trainer, work: Callable[[], Any], stop: Stop) -> None:
    """Do ``work``; a stop waits for the end of a step. Lightning ends the process then; the record comes first."""
    with warnings.catch_warnings(), stop.deferred():
        # Batches are built in this process on purpose: they are cheap, and one process is easier to repeat.
        warnings.filterwarnings("ignore", ".*does not have many workers.*")
        warnings.filterwarnings("ignore", ".*number of training batches.*")
        warnings.filterwarnings("ignore", ".*find_unused_parameters.*")  # looked for on purpose, in vain
        warnings.filterwarnings("ignore", ".*LeafSpec.*")
        try:
            work()
        except SystemExit:
            if trainer.interrupted:
                raise KeyboardInterrupt from None
            raise
