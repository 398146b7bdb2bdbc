"""Weights & Biases through Lightning's own logger, behind one guard: whatever goes wrong in W&B, training goes on.

The record holds all that W&B shows. A run that is resumed, or that W&B missed, is logged again from it, under the same
id, which replaces what W&B had (:meth:`GuardedWandbLogger.log_record`, :func:`log_run`).
"""

import contextlib
import io
import logging
import os
import re
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import astuple, fields
from itertools import groupby
from pathlib import Path
from typing import Any, Literal

from PIL import Image
from pytorch_lightning.loggers import WandbLogger
from pytorch_lightning.loggers.logger import DummyExperiment, rank_zero_experiment
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from attncompare.config import RunConfig, variant_label
from attncompare.errors import Refused, RunFailed
from attncompare.maps.maps import HeadNumbers, ProbeMaps, head_numbers, maps_of
from attncompare.maps.page import MapSeries, maps_page
from attncompare.record import Run
from attncompare.tasks.metrics import metrics_of
from attncompare.wandb_logging.destination import LONGEST_TAG, Destination

log = logging.getLogger("attncompare")

Mode = Literal["offline", "online"]

STEP = "step"
"""W&B's name of the optimizer steps done, the x axis of every curve."""
START_SECONDS, CALL_SECONDS, UPLOAD_SECONDS, STOPPED_SECONDS = 90.0, 60.0, 300.0, 10.0
"""How long W&B may take to start, for one call, for the last uploads, and for the end of a run that was stopped."""
_ROWS = 100  # of W&B's table of predictions; the record has all
_HEADS = ("probe", "site", *(field.name for field in fields(HeadNumbers)))
_ENDS = ("best_step", "steps", "ended_by", "planned_after", "planned_steps", "tested")
_PICTURE = re.compile(r"step-(\d+)-probe(\d+)-([A-Za-z0-9_-]+)\.png")


class GuardedWandbLogger(WandbLogger):
    """Lightning's W&B logger, which nothing that happens to W&B can bring down.

    The first call that fails or exceeds its time sets ``problem`` and is logged once; from then on the logger is silent.
    KeyboardInterrupt passes through. The W&B run lasts until :meth:`finish`, over ``fit``, ``test`` and what follows, and
    W&B's service process ends with it. All files of W&B lie in ``wandb/`` in ``folder``.

    ``folder`` is the run's: what its ``wandb/`` holds is removed, except for W&B runs of other ids. With ``shared`` it is
    one for many runs, and nothing is removed but W&B runs of this id. ``mode`` online sends
    everything to W&B's server now. ``best`` holds "min" or "max" for each metric whose best value W&B's summary shows.
    :meth:`finish` waits ``patience`` seconds for the last uploads. ``init`` are further arguments of ``wandb.init``.

    ``problem`` says what went wrong, in one line; ``url`` is where W&B shows the run, if it is online; ``folder`` is where
    W&B's files lie.
    """

    def __init__(
        self,
        folder: Path,
        mode: Mode,
        best: Mapping[str, str],
        patience: float = UPLOAD_SECONDS,
        *,
        shared: bool = False,
        **init: Any,
    ) -> None:
        super().__init__(save_dir=str(Path(folder).absolute()), mode=mode, resume=None, reinit="create_new", **init)
        del self._wandb_init["anonymous"]  # W&B warns of it
        self.problem: str | None = None
        self.url: str | None = None
        self._mode, self._best, self._patience, self._shared = mode, best, patience, shared
        self.folder = Path(folder).absolute() / "wandb"
        self._ended = False
        self._undo = contextlib.ExitStack()  # ends W&B's process, which writes until then, and what was set for it

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """W&B's run, started at the first use; a stand-in that ignores every call once W&B has failed or has ended."""
        if self._experiment is None and not self._ended:
            self._guard("W&B could not start", self._start, START_SECONDS)
        return DummyExperiment() if self._experiment is None or self.problem else self._experiment

    def _start(self) -> None:
        import wandb

        _clear(self.folder, str(self._id), self._shared)
        temporary, own = self.folder / (f"tmp-{self._id}" if self._shared else "tmp"), str(self.folder)
        self._undo.callback(shutil.rmtree, temporary, ignore_errors=True)
        _keep_temporary_files_in(temporary)
        # W&B would otherwise write tables and its log into the home folder.
        self._undo.enter_context(environment_set(WANDB_DATA_DIR=own, WANDB_CACHE_DIR=own))
        empty = [name for name, value in os.environ.items() if name.startswith("WANDB_") and not value]
        self._undo.enter_context(environment_set(**dict.fromkeys(empty)))  # W&B takes an empty one for a value
        self._undo.callback(_end_process)
        limits: Any = {"init_timeout": START_SECONDS / 3, "finish_timeout": self._patience}
        silent = self._mode == "offline"
        settings = wandb.Settings(silent=silent, console="off", finish_timeout_raises=True, **limits)
        with environment_set(TMPDIR=str(temporary)):  # for W&B's service process, which starts here
            run = wandb.init(**self._wandb_init, settings=settings)
        run.define_metric(STEP, hidden=True)
        for name in ("train/*", "val/*", "maps/*", "heads/*"):
            run.define_metric(name, step_metric=STEP)
        for name, best in {"train/loss": "min", **{f"val/{name}": best for name, best in self._best.items()}}.items():
            run.define_metric(name, step_metric=STEP, summary=f"{best},last")
        self.url = run.url if self._mode == "online" else None
        self._experiment = run

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Log a row of values, which belong to optimizer step ``step`` if it is given."""
        values = dict(metrics) if step is None else {STEP: step, **metrics}
        self._call(lambda: self._experiment.log(values))

    @rank_zero_only
    def log_hyperparams(self, params: Any) -> None:
        """Add to the run's config in W&B."""
        self._call(lambda: super(GuardedWandbLogger, self).log_hyperparams(params))

    @rank_zero_only
    def log_image(self, key: str, images: list[Any], step: int | None = None, **kwargs: Any) -> None:
        """Log pictures: PIL images, arrays or files; ``kwargs`` as Lightning's logger has them."""
        self._call(lambda: super(GuardedWandbLogger, self).log_image(key, images, step, **kwargs))

    @rank_zero_only
    def log_results(
        self, predictions: list[dict[str, Any]], maps: list[tuple[int, list[ProbeMaps]]], page: str | None
    ) -> None:
        """Log the rows of ``predictions.jsonl``, the numbers of each head at the last step, and the page of all maps."""
        if predictions:
            columns = list(dict.fromkeys(key for row in predictions[:_ROWS] for key in row))
            self.log(
                {"predictions": table(columns, [[row.get(key) for key in columns] for row in predictions[:_ROWS]])}
            )
        if maps:
            sites = [(probe.probe, site) for probe in maps[-1][1] for site in probe.sites]
            heads = [[probe, site.site, *astuple(head)] for probe, site in sites for head in head_numbers(site)]
            self.log({"heads": table(_HEADS, heads)})
        if page is not None:
            self.log({"attention": html(page)})

    def log_record(self, run: Run) -> None:
        """Log the rows and pictures of ``run``'s record so far; raises Refused if the record is damaged."""
        for row in run.metrics():
            values = {name: value for name, value in row.items() if name not in (STEP, "epoch")}
            self.log_metrics(values, int(row[STEP]))
        for step, rows in groupby(run.heads(), key=lambda row: row[STEP]):
            self.log_metrics({key: value for row in rows for key, value in row.items() if key != STEP}, step)
        for file in sorted((run.path / "maps").glob("*.png")):
            if match := _PICTURE.fullmatch(file.name):
                picture = Image.open(io.BytesIO(run.read(f"maps/{file.name}")), formats=["PNG"])
                self.log_image(f"maps/{match[3]}/probe{match[2]}", [picture], int(match[1]))

    def finalize(self, status: str) -> None:
        """Do nothing: Lightning calls it after ``fit`` as after ``test``, and the W&B run goes on until :meth:`finish`."""

    @rank_zero_only
    def finish(self, state: str, figures: Mapping[str, Any]) -> None:
        """End the W&B run with its final figures (:func:`final_figures`), and W&B's process with it.

        Any state but ``finished`` ends it as failed. Only the first call does something.
        """
        limit = CALL_SECONDS + (self._patience if self._mode == "online" else 0)
        run, self._experiment, self._ended = self._experiment, None, True

        def end() -> None:
            run.summary.update({**figures, "state": state})
            run.finish(exit_code=0 if state == "finished" else 1)

        with self._undo:
            if run is not None:
                self._guard("W&B could not finish", end, STOPPED_SECONDS if state == "interrupted" else limit)

    @rank_zero_only
    def log(self, values: Mapping[str, Callable[[Any], Any]]) -> None:
        """Log tables, pages and pictures: by name, a function that makes one with the module ``wandb``."""

        def logged() -> None:
            import wandb

            self._experiment.log({name: make(wandb) for name, make in values.items()})

        self._call(logged)

    def _call(self, work: Callable[[], Any]) -> None:
        _ = self.experiment  # starts the W&B run where it has not yet
        if self._experiment is not None:
            self._guard("W&B stopped taking what was logged", work, CALL_SECONDS)

    def _guard(self, failure: str, work: Callable[[], Any], seconds: float) -> None:
        """Do ``work``; where it fails or exceeds its time, W&B is left alone from then on."""
        if self.problem is not None:
            return
        try:
            _within(seconds, work)
        except (Exception, SystemExit) as error:
            self.problem = f"{failure}: {one_line(error)}"
            log.warning("%s; the record is complete without it", self.problem)
            self._undo.close()


def make_wandb_logger(
    config: RunConfig,
    folder: Path,
    run_id: str,
    group: str | None,
    *,
    mode: Mode | None = None,
    patience: float = UPLOAD_SECONDS,
    to: Destination | None = None,
) -> GuardedWandbLogger | None:
    """Return the logger of a run, started; None where W&B is disabled.

    ``run_id`` is W&B's name for the run, at least 8 characters; what W&B has under it is replaced. ``group`` is the sweep
    that the run belongs to, if any. ``to`` is where its view goes, by default as ``config`` and W&B's environment
    variables say; ``mode`` counts before its mode.
    """
    to = to or Destination.chosen(config, group)
    chosen = mode or to.mode
    if chosen == "disabled":
        return None
    logger = GuardedWandbLogger(
        Path(to.folder or folder),
        chosen,
        {name: "max" if metric.higher_is_better else "min" for name, metric in metrics_of(config).items()},
        patience,
        shared=to.folder is not None,
        project=to.project,
        entity=to.entity,
        group=to.group,
        job_type=config.task.name,
        id=run_id,
        name=config.name or Path(folder).resolve().name,
        notes=to.notes or None,
        tags=[variant_label(config.attention)[:LONGEST_TAG], config.data.name, *to.tags],
        config=config.to_dict(),
    )
    try:
        _ = logger.experiment
    except BaseException:  # an interrupt; nobody has the logger yet who could end it
        logger.finish("interrupted", {})
        raise
    return logger


def log_run(path: str | Path, mode: Mode = "offline") -> str:
    """Log the record in the folder ``path`` in W&B again, through the same logger, and return where W&B shows it.

    Offline, ``wandb/`` there is written anew, for ``wandb sync``; online, everything is sent now. Nothing else changes.
    Raises Refused if there is no login, the record is damaged, or the run is being trained right now; RunFailed if
    W&B does not take it.
    """
    run = Run.open(path)
    if run.alive():
        raise Refused(f"{run.path}: the run is being trained right now; log it once it has ended")
    if mode == "online":
        require_login("logging a record in W&B online", "log it offline")
    figures, run_id = final_figures(run.summary, run.environment()), run.summary["wandb"]["id"]
    to = Destination.recorded(run.config, run.summary)
    logger = make_wandb_logger(run.config, run.path, run_id, to.group, mode=mode, patience=3600.0, to=to)
    assert logger is not None
    state = "interrupted"
    try:
        logger.log_record(run)
        if run.state == "finished":
            maps = maps_of(run)
            # Drawn anew: the page in a record of unknown origin could hold anything.
            page = (
                maps_page(run.path.resolve().name, [MapSeries(variant_label(run.config.attention), maps)])
                if maps
                else None
            )
            logger.log_results(run.predictions(), maps, page)
        if run.state != "running":  # without a process that trains it, it was left by one that was killed
            state = run.state
    finally:
        logger.finish(state, figures)
    if logger.problem:
        raise RunFailed(f"{run.path}: not logged in W&B; {logger.problem}")
    return logger.url or str(logger.folder)


def final_figures(summary: Mapping[str, Any], environment: Mapping[str, Any]) -> dict[str, Any]:
    """Return what W&B's summary shows at the end of a run, from ``summary.json`` and ``environment.json``."""
    kinds = {"test": "test", "cost": "cost", "signatures": "signature"}
    return {
        **{f"{kind}/{name}": value for key, kind in kinds.items() for name, value in summary.get(key, {}).items()},
        **{key: summary[key] for key in _ENDS if key in summary},
        "message": summary.get("message"),
        "weights_sha256": summary.get("weights_sha256"),
        "data_fingerprint": summary.get("data", {}).get("fingerprint"),
        "threads": environment.get("threads"),
    }


def require_login(asked: str = "tracking=online", instead: str = "train with tracking=offline") -> None:
    """Refuse ``asked``, which needs W&B's server, where W&B knows no account; the server itself is not asked.

    Raises Refused: says how to log in, and what can be done ``instead``."""
    import wandb

    try:
        # Silent, else W&B asks the server for the account's name, to print it.
        with environment_set(WANDB_SILENT="true"), contextlib.redirect_stderr(io.StringIO()):
            logged_in = wandb.login(prompt=False, verify=False)
    except wandb.Error as error:
        raise Refused(f"{asked}: the W&B login cannot be used ({one_line(error)}); run `wandb login`") from None
    finally:
        wandb.teardown()  # else the run would begin with the settings of now
    if not logged_in:
        raise Refused(f"{asked}: no W&B login found; run `wandb login` (or set WANDB_API_KEY), or {instead}")


def one_line(error: BaseException) -> str:
    """Return the kind of ``error`` and what it says as one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> Callable[[Any], Any]:
    """Return what makes a table of W&B; a cell is a text, a number, a truth value or None."""
    return lambda wandb: wandb.Table(columns=list(columns), data=[list(row) for row in rows], allow_mixed_types=True)


def html(page: str) -> Callable[[Any], Any]:
    """Return what makes a page of W&B, without the link to a style sheet that W&B would otherwise add."""
    return lambda wandb: wandb.Html(page, inject=False)


def _within(seconds: float, work: Callable[[], Any]) -> None:
    """Do ``work`` in a thread that can be left behind: W&B may wait for its service process, which hangs, without a limit."""
    done: Future[Any] = Future()

    def call() -> None:
        try:
            done.set_result(work())
        except BaseException as error:
            done.set_exception(error)

    thread = threading.Thread(target=call, name="wandb-call", daemon=True)  # Python ends although one hangs
    thread.start()
    thread.join(seconds)
    if not done.done():
        raise TimeoutError(f"no answer within {seconds:g} s")
    done.result()


def _end_process() -> None:
    """End W&B's process; it complains if that is dead already, and nothing else can be wrong with a run that has ended."""
    import wandb

    with contextlib.suppress(Exception, SystemExit):
        _within(STOPPED_SECONDS, wandb.teardown)


@contextlib.contextmanager
def environment_set(**values: str | None) -> Iterator[None]:
    """Set environment variables, or with None remove them, for a while."""

    def put(values: Mapping[str, str | None]) -> None:
        for name, value in values.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value

    before = {name: os.environ.get(name) for name in values}
    put(values)
    try:
        yield
    finally:
        put(before)


def _clear(folder: Path, run_id: str, shared: bool) -> None:
    """Remove what W&B's folder holds but runs of other ids, and every link: a record of unknown origin may lead anywhere.

    Of a folder that is ``shared`` only W&B runs of this id are removed.
    """
    if shared:
        own = re.compile(rf"(offline-)?run-\d+_\d+-{re.escape(run_id)}")
        for path in [path for path in folder.glob("*run-*") if own.fullmatch(path.name) and not path.is_symlink()]:
            shutil.rmtree(path)
        return
    if folder.is_symlink():
        raise OSError(f"{folder} is a symbolic link")
    for path in sorted(folder.glob("*")):
        if path.is_symlink() or path.is_file():
            path.unlink()
        elif path.name.endswith(run_id) or not path.match("*run-*"):
            shutil.rmtree(path)


def _keep_temporary_files_in(folder: Path) -> None:
    """Move the two temporary folders that W&B makes when it is imported to ``folder``.

    W&B removes them when Python ends as usual, so that a process that is killed, or one of multiprocessing, leaves them.
    """
    from wandb.sdk.artifacts.artifact import Artifact
    from wandb.sdk.data_types._private import MEDIA_TMP

    for temporary in (MEDIA_TMP, Artifact._TMP_DIR):
        temporary.cleanup()
        temporary.name = str(folder)
    folder.mkdir(parents=True, exist_ok=True)
