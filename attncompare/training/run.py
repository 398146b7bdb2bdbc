"""Training: a new run from a config, or an unfinished one from where it stands."""

import logging
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from attncompare.config import RunConfig
from attncompare.data.module import DataModule
from attncompare.errors import Refused
from attncompare.record import (
    RecordLogger,
    Run,
    RunLock,
    RunLog,
    changes,
    create_folder,
    environment,
    find_runs,
    is_run,
    recorded_threads,
    require_no_way_out,
    require_writable,
    said,
)
from attncompare.tasks import build_task
from attncompare.tasks.compiling import require_compiler
from attncompare.text import counted
from attncompare.training.averaging import remove_snapshots
from attncompare.training.checkpoint import load_checkpoint, of_this_run, remove_checkpoints
from attncompare.training.demands import Seen, require_feasible
from attncompare.training.ending import Course
from attncompare.training.faults import in_words
from attncompare.training.interrupts import Stop, stoppable
from attncompare.training.processes_group import accelerator
from attncompare.training.processes_others import other_processes
from attncompare.training.progress import OnProgress, Progress
from attncompare.training.session import Session

log = logging.getLogger("attncompare")
_WRITTEN = ("metrics_bytes", "metrics_sha256", "wall_seconds")


def train(
    config: RunConfig,
    overrides: Sequence[str] = (),
    *,
    parent: Path | None = None,
    group: str | None = None,
    threads: int | None = None,
    stop_after: int | None = None,
    course: Course | None = None,
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
        stop_after: end after this optimizer step, as if interrupted there, and return the unfinished record.
        course: with ``trainer.max_time``, the steps of the run that this one repeats; None: by the clock.
        on_progress: told where the run stands.
        on_folder: told the run's folder as soon as there is one.
        on_message: with ``resume`` set, told as :func:`resume` does.

    Raises:
        Refused: before anything is written, if the data or the login cannot serve.
        RunFailed: if the loss becomes NaN or infinite, a disk is full, or memory runs out. The record says ``failed``,
            as it does for any other exception.
        KeyboardInterrupt: after the record was closed as ``interrupted``; :func:`resume` goes on with it.
    """
    if config.resume is not None:
        _refuse_changes(config.resume, overrides)
        shown = {"on_progress": on_progress, "on_folder": on_folder, "on_message": on_message}
        return resume(config.resume, threads=threads, stop_after=stop_after, **shown)  # type: ignore[arg-type]
    if stop_after is not None and stop_after < 1:
        raise Refused(f"stop_after={stop_after}: must be a positive integer, or None")
    require_writable(Path(config.runs), f"runs={config.runs}")
    with _prepared(config, threads, on_progress) as (parts, run_log, stop):
        folder = create_folder(config, parent)
        with _locked(folder, run_log, config):
            wandb = {"id": _wandb_id(), "missing": None}
            repeated = {"course": asdict(course)} if course is not None else {}
            facts = {"group": group, "wandb": wandb, **repeated}
            with _nothing_left(folder):
                record = RecordLogger.create(folder, config, overrides, **facts)
            on_folder(folder)
            last = None if stop_after is None or stop_after >= config.trainer.max_steps else stop_after
            return Session(record, **parts, stop=stop, stop_after=last, on_progress=on_progress).run()


def resume(
    path: str | Path,
    *,
    threads: int | None = None,
    stop_after: int | None = None,
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
        stop_after: as for :func:`train`.
        on_progress: told where the run stands.
        on_folder: told the run's folder.
        on_message: told in words at which step it goes on, or that there is nothing to do.

    Raises:
        Refused: if the folder is no run, another process trains it, or its data are not what they were.
        RunFailed, KeyboardInterrupt: as from :func:`train`.
    """
    run = _opened(Path(path))
    require_no_way_out(run.path)
    if run.state == "finished":
        return _cleared(run, on_message)
    require_writable(run.path, str(run.path), "make it writable, or go on with a copy of it elsewhere")
    recorded = run.environment() if (run.path / "environment.json").exists() else {}
    with (
        _prepared(run.config, recorded_threads(recorded, run.path) or threads, on_progress) as (parts, run_log, stop),
        _locked(run.path, run_log, run.config),
    ):
        run = Run.open(path)  # another process may have finished it before the lock was ours
        if run.state == "finished":
            return _cleared(run, on_message)
        on_folder(run.path)
        fingerprint = parts["data"].fingerprint
        if run.summary.get("data", {}).get("fingerprint", fingerprint) != fingerprint:
            raise Refused(f"{run.path}: the data are not those that the run began with; train a new one")
        step, checkpoint = load_checkpoint(run.path) or (0, None)
        with of_this_run(run.path):
            written = {key: checkpoint["process"][key] for key in _WRITTEN} if checkpoint is not None else {}
        changed = said(changes(recorded, environment(fingerprint)))
        resumed = [*run.summary.get("resumed", []), {"step": step, "environment": changed}]
        record = RecordLogger.reopen(run, resumed=resumed, **written)
        log.info("resumed at step %d", step)
        on_message(_where(run, step, checkpoint is not None))
        for line in changed:  # the bits may differ then
            log.warning("not the environment that the run began in: %s", line)
        return Session(record, **parts, stop=stop, stop_after=stop_after, on_progress=on_progress).run(checkpoint)


@contextmanager
def _prepared(
    config: RunConfig, threads: int | None, on_progress: OnProgress
) -> Iterator[tuple[dict[str, Any], RunLog, Stop]]:
    """Check what can be checked before anything is written, and prepare the data and the model."""
    each = config.trainer.threads or threads or max(1, torch.get_num_threads() // config.trainer.devices)
    torch.set_num_threads(each)
    if config.tracking.wandb == "online":
        from attncompare.wandb_logging import require_login

        require_login()
    if config.trainer.accelerator == "gpu" and not torch.cuda.is_available():
        raise Refused("trainer.accelerator=gpu: no CUDA device found; use trainer=auto or trainer=cpu")
    accelerator(config)  # refuses more processes than there is room for
    require_compiler(config)

    def tell(how_far: str = "") -> None:
        on_progress(Progress(f"preparing data{how_far and ': '}{how_far}", 0, config.trainer.max_steps))

    tell()
    with RunLog() as run_log, stoppable() as stop, other_processes(config, each) as others:
        with in_words(config, Path(config.runs)):
            require_feasible(config)
            data = DataModule(config, tell)
            data.prepare()
            require_feasible(config, Seen.of(data.report, config.task.max_length))
            parts = {"task": build_task(config, data.tokenizer, data.source_tokenizer), "data": data, "others": others}
        yield {**parts, "probes": data.probes(config.tracking.probes)}, run_log, stop


@contextmanager
def _locked(folder: Path, run_log: RunLog, config: RunConfig) -> Iterator[None]:
    """Hold the run's lock, and say in words if its record cannot even be begun."""
    lock = RunLock(folder)
    try:
        with in_words(config, folder):
            run_log.write_to(folder / "run.log")
            yield
    finally:
        lock.release()


def _wandb_id() -> str:
    """Return a new name for the run in W&B, or the one that W&B's agent has given it already."""
    return os.environ["WANDB_RUN_ID"] if "WANDB_SWEEP_ID" in os.environ else secrets.token_hex(8)


@contextmanager
def _nothing_left(folder: Path) -> Iterator[None]:
    """Remove ``folder``, just made by this process, if its record cannot even be begun: nobody could go on with it."""
    try:
        yield
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _refuse_changes(path: str, overrides: Sequence[str]) -> None:
    others = [override for override in overrides if not override.startswith("resume=")]
    if others:
        raise Refused(f"resume={path}: the run goes on as it began, so leave out {' '.join(others)}")


def _opened(path: Path) -> Run:
    """Return the run in the folder ``path``; for a sweep's folder, name those runs in it that can go on."""
    try:
        if not path.is_dir() or is_run(path):
            return Run.open(path)
    except OSError as error:
        raise Refused(f"{path}: cannot be read ({error.strerror})") from None
    runs = find_runs([path])
    unfinished = [run for run in runs if run.state != "finished"]
    if not unfinished:
        raise Refused(f"{path}: not a run, but a folder of {counted(len(runs), 'run')}, all of them finished")
    listed = "; ".join(f"{run.path} {'is being trained' if run.alive() else run.state}" for run in unfinished)
    raise Refused(f"{path}: not a run, but a folder of runs; each goes on alone; unfinished: {listed}")


def _where(run: Run, step: int, from_checkpoint: bool) -> str:
    of = f"step {step} of {run.config.trainer.max_steps}"
    return f"goes on at {of}" if from_checkpoint else f"no checkpoint to go on from: begins anew at {of}"


def _cleared(run: Run, on_message: Callable[[str], None]) -> Run:
    """Return a finished run, without what a process may have left that was killed right after finishing it."""
    remove_checkpoints(run.path)
    remove_snapshots(run.path)
    on_message(f"{run.path}: already finished: nothing to do")
    return run
