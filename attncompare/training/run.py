"""Training: a new run from a config, or an unfinished one from where it stands; Lightning does the loop."""

import functools
import json
import logging
import os
import secrets
import shutil
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Callback, Trainer
from pytorch_lightning.callbacks import EarlyStopping
from pytorch_lightning.loggers import Logger
from pytorch_lightning.plugins.environments import LightningEnvironment

from attncompare import registry
from attncompare.attention import check_laws
from attncompare.attention.parts import Part
from attncompare.config import RunConfig, variant_label
from attncompare.data.module import DataModule
from attncompare.errors import NotFinite, Refused, RunFailed
from attncompare.maps import AttentionMaps
from attncompare.maps.heads import SENTENCES, HeadCurves
from attncompare.model import parameter_count, stable_seed, train_flops_per_token
from attncompare.record import (
    AVERAGED_WEIGHTS,
    BEST_WEIGHTS,
    MACHINE,
    WORDS,
    RecordLogger,
    Run,
    RunLock,
    RunLog,
    changes,
    create_folder,
    environment,
    find_runs,
    is_run,
    load_weights,
    made_with,
    other_facts,
    recorded_threads,
    require_no_way_out,
    require_writable,
    said,
    save_weights,
    write_text,
)
from attncompare.tasks import Task, build_task
from attncompare.tasks.metrics import metric
from attncompare.text import counted
from attncompare.training.checkpoint import (
    ResumeCheckpoint,
    SafeCheckpointIO,
    Weights,
    newest_checkpoint,
    remove_checkpoints,
    seed_all,
    training_state_digest,
)
from attncompare.training.ending import Budget, Course, TrainingStopped, most_steps
from attncompare.training.failures import explain, explained, save_failure
from attncompare.training.interrupts import Stop, stoppable
from attncompare.training.memory import PeakMemory
from attncompare.training.progress import Lines, OnProgress, Progress, Shown
from attncompare.training.progress_callbacks import Bar, Report
from attncompare.wandb_logging.destination import Destination

log = logging.getLogger("attncompare")
_FOLDER_OF_RANKS = "ATTNCOMPARE_RUN"
"""The variable in which the first rank tells the others, which run the same command, the run's folder."""
_CACHED = 4  # bytes of a number in the cache of decoding, which is float32


def train(
    config: RunConfig,
    overrides: Sequence[str] = (),
    *,
    parent: Path | None = None,
    group: str | None = None,
    threads: int | None = None,
    made: dict[str, str] | None = None,
    stop_after: int | None = None,
    course: Course | None = None,
    progress: Shown | None = None,
    on_progress: OnProgress = lambda _: None,
    on_folder: Callable[[Path], None] = lambda _: None,
    on_message: Callable[[str], None] = lambda _: None,
) -> Run:
    """Train one model and return its record, finished unless ``stop_after`` says otherwise.

    Args:
        config: what to train; with ``resume`` set, the unfinished run to go on with.
        overrides: what the user asked for, for the record.
        parent: the folder of the sweep that the run belongs to; by default the run stands under ``<runs>/<date>``.
        group: the name of that sweep.
        threads: CPU threads of each of the run's processes, where the config leaves them open.
        made: what trains the run (:func:`attncompare.record.made_with`), where a sweep knows it already.
        stop_after: end after this optimizer step, as if interrupted there, and return the unfinished record; at the last
            step or beyond, the run finishes.
        course: with ``trainer.max_time``, the steps of the run that this one repeats; None: by the clock.
        progress: how to show where the run stands: a bar, lines, or not at all.
        on_progress: told where the run stands.
        on_folder: told the run's folder as soon as there is one.
        on_message: told in words what people should know of the data; with ``resume`` set, also as :func:`resume` does.

    Raises:
        Refused: before anything is written, if the data or the login cannot serve, or if several processes are asked for
            where there is no command that could be run for each of them, as in a notebook.
        RunFailed: if the loss becomes NaN or infinite, a disk is full, or memory runs out. The record says ``failed``,
            as it does for any other exception.
        KeyboardInterrupt: after the record was closed as ``interrupted``; :func:`resume` goes on with it.
    """
    if config.resume is not None:
        others = [override for override in overrides if not override.startswith("resume=")]
        if others:
            raise Refused(f"resume={config.resume}: the run goes on as it began, so leave out {' '.join(others)}")
        told = {"progress": progress, "on_progress": on_progress, "on_folder": on_folder, "on_message": on_message}
        return resume(config.resume, threads=threads, made=made, stop_after=stop_after, **told)  # type: ignore[arg-type]
    if stop_after is not None and stop_after < 1:
        raise Refused(f"stop_after={stop_after}: must be a positive integer, or None")
    require_writable(Path(config.runs), f"runs={config.runs}")
    show = _Shown(progress, f"{config.task.name} {variant_label(config.attention)}", on_progress)
    to = Destination.chosen(config, group)
    with _prepared(config, threads, show.tell, to.mode, on_message) as (task, data, run_log, stop):
        if _rank():
            return _train(
                RecordLogger(Path(os.environ[_FOLDER_OF_RANKS]), config, {}), task, data, show, stop, stop_after
            )
        folder = create_folder(config, parent)
        with _locked(folder, run_log, config):
            facts: dict[str, Any] = {"group": group, "wandb": {"id": _wandb_id(), **asdict(to)}}
            facts["made_with"] = made or made_with([config])
            facts |= {"course": asdict(course)} if course is not None else {}
            try:
                record = RecordLogger.create(folder, config, overrides, **facts)
            except BaseException:  # nobody could go on with what was just begun
                shutil.rmtree(folder, ignore_errors=True)
                raise
            on_folder(folder)
            return _train(record, task, data, show, stop, stop_after)


def resume(
    path: str | Path,
    *,
    threads: int | None = None,
    made: dict[str, str] | None = None,
    stop_after: int | None = None,
    progress: Shown | None = None,
    on_progress: OnProgress = lambda _: None,
    on_folder: Callable[[Path], None] = lambda _: None,
    on_message: Callable[[str], None] = lambda _: None,
) -> Run:
    """Go on with an unfinished run in its own folder; it ends with the bits of one that was never interrupted.

    It goes on from its newest checkpoint that is whole, and begins anew where there is none. A run that is finished is
    returned as it is.

    Args:
        path: the run's folder.
        threads: CPU threads where neither config nor record says how many.
        made: as for :func:`train`.
        stop_after: as for :func:`train`.
        progress: as for :func:`train`.
        on_progress: told where the run stands.
        on_folder: told the run's folder.
        on_message: told in words at which step it goes on, or that there is nothing to do; and as for :func:`train`.

    Raises:
        Refused: if the folder is no run, another process trains it, or its data are not what they were.
        RunFailed, KeyboardInterrupt: as from :func:`train`.
    """
    run = _unfinished(Path(path))
    require_no_way_out(run.path)
    if run.state == "finished":
        remove_checkpoints(run.path)  # a process may have been killed right after finishing it
        on_message(f"{run.path}: already finished: nothing to do")
        return run
    require_writable(run.path, str(run.path), "make it writable, or go on with a copy of it elsewhere")
    recorded = run.environment() if run.has("environment.json") else {}
    threads = recorded_threads(recorded, run.path) or threads
    show = _Shown(progress, f"resume {run.path.name}", on_progress)
    to = Destination.recorded(run.config, run.summary)
    with (
        _prepared(run.config, threads, show.tell, to.mode, on_message) as (task, data, run_log, stop),
        _locked(run.path, run_log, run.config) if not _rank() else nullcontext(),
    ):
        run = Run.open(path)  # another process may have finished it before the lock was ours
        if run.state == "finished":
            return run
        on_folder(run.path)
        if (run.summary.get("data") or {}).get("fingerprint", data.fingerprint) != data.fingerprint:
            raise Refused(f"{run.path}: the data are not those that the run began with; train a new one")
        checkpoint, content = newest_checkpoint(run.path) or (None, None)
        step = content["global_step"] if content else 0
        found = changes(recorded, environment(data.fingerprint))
        changed = said(found)
        for line in changed:  # the bits may differ then
            log.warning("not the environment that the run began in: %s", line)
        if _rank():
            record = RecordLogger(run.path, run.config, dict(run.summary))
        else:
            before = [*run.summary.get("resumed", []), {"step": step, "environment": changed}]
            made = made or made_with([run.config])
            mixed = other_facts(run.summary.get("made_with"), made) or any(one.what in MACHINE for one in found)
            made = None if content and mixed else made  # no one code or machine has trained it
            record = RecordLogger.reopen(run, resumed=before, made_with=made, **(content["record"] if content else {}))
        log.info("resumed at step %d", step)
        where = "goes on" if content else "no checkpoint to go on from: begins anew"
        on_message(f"{where} at step {step} of {most_steps(run.config.trainer, data.epoch_steps)}")
        return _train(record, task, data, show, stop, stop_after, checkpoint)


def evaluate(task: Task, data: DataModule, split: str) -> dict[str, float]:
    """Return the metrics of a whole split with the task's weights.

    Args:
        task: with its weights.
        data: where the split comes from.
        split: ``val`` or ``test``.
    """
    trainer = make_trainer(task.config, [], [], devices=1)
    run = trainer.validate if split == "val" else trainer.test
    with _quiet():
        run(task, datamodule=data, verbose=False)
    return _metrics(trainer, split)


def make_trainer(
    config: RunConfig, callbacks: Sequence[Callback], loggers: Sequence[Logger], devices: int | None = None
) -> Trainer:
    """Return Lightning's trainer for a run: stock, with our checkpoints and loggers.

    ``max_steps`` and ``max_epochs`` are left to :class:`attncompare.training.ending.Budget`, which alone ends training.
    """
    devices = devices or config.trainer.devices
    # With deterministic algorithms torch would also write NaN over all memory before it is used, about 200 times a step:
    # that finds what reads too early, and costs about 2 % of a small model's step. No result depends on it.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    # In a cluster's job, Lightning would answer the scheduler's signals with checkpoints of its own.
    plugins: list[Any] = [SafeCheckpointIO(), LightningEnvironment()]
    with _quiet():
        return Trainer(
            accelerator=config.trainer.accelerator if devices == 1 or torch.cuda.is_available() else "cpu",
            devices=devices,
            strategy="ddp" if devices > 1 else "auto",
            precision=config.trainer.precision,
            max_epochs=-1,
            accumulate_grad_batches=config.trainer.accumulate,
            gradient_clip_val=config.optimizer.clip_norm,
            val_check_interval=config.trainer.validate_every * config.trainer.accumulate,
            check_val_every_n_epoch=None,
            log_every_n_steps=config.trainer.log_every,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,  # each rank gets its own part of every batch already
            deterministic=config.trainer.deterministic,
            callbacks=list(callbacks),
            logger=list(loggers),
            plugins=plugins,
            enable_progress_bar=any(isinstance(one, Bar) for one in callbacks),
            enable_model_summary=False,
        )


class _Shown:
    """How a run shows where it stands: ``tell`` for phases outside of Lightning's loops, :meth:`callbacks` for those inside."""

    def __init__(self, progress: Shown | None, label: str, on_progress: OnProgress) -> None:
        if _rank():  # the first process speaks for all
            progress, on_progress = None, lambda _: None
        lines = Lines(label) if progress == "lines" else None

        def tell(one: Progress) -> None:
            on_progress(one)
            if lines:
                lines(one)

        self.tell: OnProgress = tell
        self._bar = progress == "bar"

    def callbacks(self, budget: Budget) -> list[Callback]:
        """Return what shows the phases inside Lightning's loops."""
        return [Report(self.tell, budget), *([Bar()] if self._bar else [])]


def _train(
    record: RecordLogger,
    task: Task,
    data: DataModule,
    show: _Shown,
    stop: Stop,
    stop_after: int | None,
    checkpoint: Path | None = None,
) -> Run:
    """Train, from ``checkpoint`` where there is one, test, and close the record, whichever way the run ends."""
    try:
        wandb = _open(record, data, resumed=checkpoint is not None)
        try:
            _fit_and_test(record, wandb, task, data, show, stop, stop_after, checkpoint)
            _finish(record, wandb, stop)
        except BaseException as error:
            _fail(record, wandb, task, error, stop, stop_after)
    except BaseException as error:
        if record.summary.get("state") == "running":  # not yet closed, as W&B could not even be opened
            _fail(record, None, task, error, stop, stop_after)
        raise
    if _rank():
        raise SystemExit(0)  # the first rank has the record
    return Run.open(record.path)


def _open(record: RecordLogger, data: DataModule, resumed: bool) -> Any:
    """Write what is known before training, and return W&B's logger, if any."""
    if _rank():
        return None
    if not (record.path / "environment.json").exists():
        record.environment(environment(data.fingerprint))
    record.update(data={"fingerprint": data.fingerprint, **data.report})
    write_text(record.path / "tokenizer.json", data.tokenizer.to_text())
    if data.source_tokenizer is not None:
        write_text(record.path / "source_tokenizer.json", data.source_tokenizer.to_text())
    if seen := (data.source_tokenizer or data.tokenizer).seen:
        write_text(record.path / WORDS, "".join(f"{word}\n" for word in sorted(seen)))
    to = Destination.recorded(record.config, record.summary)
    if to.mode == "disabled":
        return None
    record.update(wandb={**record.summary["wandb"], **asdict(to)})
    from attncompare.wandb_logging import make_wandb_logger  # here: importing wandb takes its time

    logger = make_wandb_logger(record.config, record.path, record.summary["wandb"]["id"], to.group, to=to)
    if logger is not None and resumed:
        logger.log_record(Run.open(record.path))
    return logger


def _fit_and_test(
    record: RecordLogger,
    wandb: Any,
    task: Task,
    data: DataModule,
    show: _Shown,
    stop: Stop,
    stop_after: int | None,
    checkpoint: Path | None,
) -> None:
    config, path = record.config, record.path
    monitor = metric(config.trainer.monitor)
    weights, memory = Weights(path, config.trainer.average_last, monitor), PeakMemory()
    longest = most_steps(config.trainer, data.epoch_steps)
    record.update(most_steps=longest)  # for those who watch the run
    budget = Budget(task, longest, record.summary, lambda facts: record.update(**facts), path)
    maps = AttentionMaps(data.probes(config.tracking.probes), path, config.tracking.images)
    heads = HeadCurves(**{split: data.probes(SENTENCES, split) for split in ("val", "test")})
    patience = None
    if config.trainer.patience is not None:
        mode = "max" if monitor.higher_is_better else "min"
        patience = EarlyStopping(f"val/{monitor.name}", patience=config.trainer.patience, mode=mode, check_finite=False)
    written = functools.partial(_written, record)
    callbacks = [
        *(budget, memory, maps, heads),
        *([patience] if patience else []),
        *(registry.load("callbacks", name)() for name in config.trainer.callbacks),
        *show.callbacks(budget),
        *(weights, ResumeCheckpoint(path, budget, stop, stop_after, written)),
    ]
    trainer = make_trainer(config, callbacks, [record, *([wandb] if wandb else [])])
    # From here on the global generators serve dropout alone: it has a stream of its own.
    seed_all(stable_seed(config.seed, "dropout", *([_rank()] if _rank() else [])))
    os.environ[_FOLDER_OF_RANKS] = str(path)
    with _quiet(), stop.deferred():  # a stop waits for the end of a step
        trainer.fit(task, datamodule=data, ckpt_path=checkpoint)
        steps = trainer.global_step
        digest, val = training_state_digest(trainer, task), _metrics(trainer, "val")
        facts = {
            **budget.plan_facts(steps),
            "ended_by": budget.ended_by(steps, patience),
            "best_step": weights.best_step,
            "steps": steps,
            "val": val,
            "weights_sha256": weights.sha256,
            "training_state_sha256": digest,
            "tested": "averaged" if config.trainer.average_last else "best",
        }
        trainer.loggers = []  # what follows stands in the summary, and not among the rows of training
        if config.trainer.average_last:
            if trainer.is_global_zero:
                save_weights(path / AVERAGED_WEIGHTS, weights.mean())
            trainer.strategy.barrier()
            load_weights(path / AVERAGED_WEIGHTS, task.model)
            trainer.validate(task, datamodule=data, verbose=False)
            facts["averaged"] = {"steps": weights.steps, "val": _metrics(trainer, "val")}
        else:
            trainer.strategy.barrier()
            load_weights(path / BEST_WEIGHTS, task.model)
        trainer.test(task, datamodule=data, verbose=False)  # the one time that test is read
    task.eval()
    if not trainer.is_global_zero:
        return
    record.update(**facts, test=_metrics(trainer, "test"), signatures=task.signatures(), cost=_cost(task, data, memory))
    show.tell(Progress("writing the record", steps, steps))
    predictions = task.predictions()
    record.update(baselines=task.baselines())
    record.predictions(predictions)
    record.items(task.item_rows())
    if wandb:
        wandb.log_results(predictions, maps.maps, maps.page)


def _written(record: RecordLogger) -> dict[str, Any]:
    return {**record.metrics_so_far(), "wall_seconds": record.wall_seconds}


def _metrics(trainer: Trainer, split: str) -> dict[str, float]:
    """Return the metrics of the newest evaluation of a split, by their bare names."""
    values = trainer.callback_metrics.items()
    return {name.removeprefix(f"{split}/"): value.item() for name, value in values if name.startswith(f"{split}/")}


def _cost(task: Task, data: DataModule, memory: PeakMemory) -> dict[str, float]:
    lengths = task.lengths(data.report["train"])
    return {
        "parameters": parameter_count(task.model),
        "train_flops_per_token": train_flops_per_token(task.model, lengths),
        "cache_bytes_per_token": _CACHED
        * sum(many for (site, _), many in task.cached_numbers.items() if site != "encoder"),
        "tokens_per_second": task.tokens_trained / max(task.seconds, 1e-9),
        "peak_memory_bytes": memory.peak,
        "train_seconds": task.seconds,
    }


def _finish(record: RecordLogger, wandb: Any, stop: Stop) -> None:
    """Seal the record; W&B's view of it ends before, as its folder is sealed too."""
    if _rank():
        return
    remove_checkpoints(record.path)
    _finish_wandb(record, wandb, "finished", None)
    with stop.deferred():  # it is finished from here on, whoever wants to stop it
        try:
            record.close("finished")
        except OSError as error:
            # Its summary has its name before the folder is synced: nothing is missing but the promise that it lasts.
            if Run.open(record.path).state != "finished":
                raise
            log.warning("%s: finished, but a loss of power now could undo that (%s)", record.path, error.strerror)


def _finish_wandb(record: RecordLogger, wandb: Any, state: str, message: str | None) -> None:
    if wandb is None:
        return
    from attncompare.wandb_logging import final_figures

    file = record.path / "environment.json"
    facts = json.loads(file.read_text()) if file.exists() else {}
    wandb.finish(state, final_figures({**record.summary, "message": message}, facts))
    record.summary["wandb"]["problem"] = wandb.problem


def _fail(
    record: RecordLogger, wandb: Any, task: Task, error: BaseException, stop: Stop, stop_after: int | None
) -> None:
    """Close the record of a run that did not finish, and raise what ended it, in words where there are some."""
    stopped = isinstance(error, TrainingStopped | KeyboardInterrupt)
    if _rank():
        # Where all ranks end alike, the first has yet to close the record: Lightning kills it once another exit code is known.
        raise SystemExit(0 if stopped or isinstance(error, NotFinite) else 1) from None
    step = task.global_step if task._trainer is not None else 0
    as_asked = isinstance(error, TrainingStopped) and stop.reason is None
    if as_asked:
        known: str | None = f"stopped after step {stop_after}, as asked"
    elif stopped:
        known = f"interrupted at step {step}" + (f" by {stop.reason}" if stop.reason else "")
    else:
        known = explain(error, record.config, record.path)
    if isinstance(error, NotFinite):
        known = f"{known}; {_last_good(record.path)}; {_failure(record.path, task, step)}"
    if known is None:
        log.error("the run failed", exc_info=error)
    message, state = known or f"{type(error).__name__}: {error}", "interrupted" if stopped else "failed"
    try:
        record.close(state, message)
        if wandb:
            _finish_wandb(record, wandb, state, message)
            record.update()
    except OSError as second:
        where = f"{second.filename}: {second.strerror}"
        raise RunFailed(f"{record.path}: {message}; nor could its record be closed ({where})") from None
    if as_asked:
        return
    if stopped:
        raise KeyboardInterrupt from None
    if known is None or isinstance(error, Refused):
        raise error
    raise RunFailed(f"{record.path}: {message}") from None


def _failure(path: Path, task: Task, step: int) -> str:
    try:
        return save_failure(path, task, step)
    except OSError as error:
        return f"the batch could not be written for inspection ({error.strerror})"


def _last_good(path: Path) -> str:
    steps = [int(row["step"]) for row in Run.open(path).metrics() if "val/loss" in row]
    if not steps:
        return "no weights were written before"
    return f"the last good weights are those of step {steps[-1]}, checkpoints/last.safetensors"


@contextmanager
def _prepared(
    config: RunConfig, threads: int | None, tell: OnProgress, wandb: str, on_message: Callable[[str], None]
) -> Iterator[tuple[Task, DataModule, RunLog, Stop]]:
    """Check what can be checked before anything is written, and prepare the data and the model."""
    devices = config.trainer.devices
    torch.set_num_threads(config.trainer.threads or threads or max(1, torch.get_num_threads() // devices))
    if wandb == "online" and not _rank():
        from attncompare.wandb_logging import require_login

        require_login()
    if devices > 1 and not _has_command():
        again = f"attncompare train trainer.devices={devices} ..."
        raise Refused(
            f"trainer.devices={devices}: here is no command that could be run for the other processes; use {again}"
        )
    if config.trainer.accelerator == "gpu" and not torch.cuda.is_available():
        raise Refused("trainer.accelerator=gpu: no CUDA device found; use trainer=auto or trainer=cpu")
    if devices > 1 and config.trainer.accelerator != "cpu" and 0 < torch.cuda.device_count() < devices:
        there = torch.cuda.device_count()
        raise Refused(
            f"trainer.devices={devices}: valid here: 1 to {there}, one for each GPU; or trainer.accelerator=cpu"
        )
    _require_compiler(config)

    def told(how_far: str = "") -> None:
        tell(Progress(f"preparing data{how_far and ': '}{how_far}", 0, config.trainer.max_steps or 0))

    told()
    with RunLog() as run_log, stoppable() as stop:
        with explained(config, Path(config.runs)):
            data = DataModule(config, told)
            data.prepare()
            if not isinstance(config.tracking.probes, int):
                data.probes(config.tracking.probes)  # refuses sentences that the model cannot read
            for note in data.notes if not _rank() else ():
                on_message(f"note: {note}")
            task = build_task(config, data.tokenizer, data.source_tokenizer)
            for part in task.model.modules():
                if isinstance(part, Part) and not type(part).__module__.startswith("attncompare."):
                    check_laws(part)  # those that come with the code are tested
        yield task, data, run_log, stop


def _require_compiler(config: RunConfig) -> None:
    """Refuse ``trainer.compile`` where torch.compile finds nothing that compiles for the run's device."""
    if not config.trainer.compile:
        return
    from attncompare.attention.kernels.build import cpp_compiler, has_triton

    on_gpu = config.trainer.accelerator != "cpu" and torch.cuda.is_available()
    if on_gpu and not has_triton():
        raise Refused("trainer.compile=true: torch.compile needs triton, and there is none; set trainer.compile=false")
    if not on_gpu and cpp_compiler() is None:
        raise Refused(
            "trainer.compile=true: torch.compile needs a C++ compiler, and there is none; set trainer.compile=false"
        )


@contextmanager
def _locked(folder: Path, run_log: RunLog, config: RunConfig) -> Iterator[None]:
    """Hold the run's lock, and say in words if its record cannot even be begun."""
    lock = RunLock(folder)
    try:
        with explained(config, folder):
            run_log.write_to(folder / "run.log")
            yield
    finally:
        lock.release()


def _unfinished(path: Path) -> Run:
    """Return the run in the folder ``path``; for a sweep's folder, name those runs in it that can go on."""
    if not path.is_dir() or is_run(path):
        return Run.open(path)
    runs = find_runs([path])
    unfinished = [run for run in runs if run.state != "finished"]
    if not unfinished:
        raise Refused(f"{path}: not a run, but a folder of {counted(len(runs), 'run')}, all of them finished")
    listed = "; ".join(f"{run.path} {'is being trained' if run.alive() else run.state}" for run in unfinished)
    raise Refused(f"{path}: not a run, but a folder of runs; each goes on alone; unfinished: {listed}")


@contextmanager
def _quiet() -> Iterator[None]:
    """Leave out Lightning's advice that does not apply here."""
    with warnings.catch_warnings():
        # Batches are built in this process on purpose: they are cheap, and one process is easier to repeat.
        warnings.filterwarnings("ignore", ".*does not have many workers.*")
        warnings.filterwarnings("ignore", ".*number of training batches.*")
        warnings.filterwarnings("ignore", ".*LeafSpec.*")  # a deprecation between Lightning and torch
        warnings.filterwarnings("ignore", ".*modules in eval mode.*")
        yield


def _has_command() -> bool:
    """Return whether this process runs a command, as ddp runs it again for each other rank; a notebook runs none."""
    if hasattr(sys, "ps1"):
        return False
    return sys.modules["__main__"].__spec__ is not None or Path(sys.argv[0]).is_file()


def _rank() -> int:
    """Return the rank of this process, 0 where there is one alone: ddp runs the same command for each other rank."""
    return int(os.environ.get("LOCAL_RANK", "0"))


def _wandb_id() -> str:
    """Return a new name for the run in W&B, or the one that W&B's agent has given it already."""
    return os.environ["WANDB_RUN_ID"] if "WANDB_SWEEP_ID" in os.environ else secrets.token_hex(8)
