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
from dataclasses import astuple
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Literal

from PIL import Image
from pytorch_lightning.loggers import WandbLogger
from pytorch_lightning.loggers.logger import DummyExperiment, rank_zero_experiment
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from attncompare.config import RunConfig
from attncompare.errors import Refused, RunFailed
from attncompare.maps.maps import ProbeMaps, head_numbers, maps_of
from attncompare.maps.page import MapSeries, maps_page
from attncompare.record import Run
from attncompare.tasks.metrics import metrics_of

log = logging.getLogger("attncompare")

Mode = Literal["offline", "online"]

STEP = "step"
"""W&B's name of the optimizer steps done, the x axis of every curve."""
START_SECONDS, CALL_SECONDS, UPLOAD_SECONDS, STOPPED_SECONDS = 90.0, 60.0, 300.0, 10.0
"""How long W&B may take to start, for one call, for the last uploads, and for the end of a run that was stopped."""
_PREDICTIONS = 100  # rows of W&B's table; the record has all
_HEADS = ("probe", "site", "layer", "head", "entropy", "distance", "largest", "aer")
_ENDS = ("best_step", "steps", "ended_by", "planned_after", "planned_steps", "tested")
_PICTURE = re.compile(r"step-(\d+)-probe(\d+)-([A-Za-z0-9_-]+)\.png")


class GuardedWandbLogger(WandbLogger):
    """Lightning's W&B logger, which nothing that happens to W&B can bring down.

    The first call that fails or exceeds its time sets ``problem`` and is logged once; from then on the logger is silent.
    KeyboardInterrupt passes through. The W&B run lasts until :meth:`finish`, over ``fit``, ``test`` and what follows, and
    W&B's service process ends with it. All files of W&B lie in ``wandb/`` in the run's folder.

    Args:
        folder: the run's folder; its ``wandb/`` is made anew.
        mode: whether to send everything to W&B's server now.
        best: "min" or "max" for each metric whose best value W&B's summary shows, by the metric's name.
        upload_seconds: how long :meth:`finish` waits for the last uploads.
        beside: whether ``wandb/`` may hold other W&B runs; then only the one of this id is replaced.
        init: further arguments of ``wandb.init``.

    Attributes:
        problem: what went wrong, in one line.
        url: where W&B shows the run, if it is online.
    """

    def __init__(
        self,
        folder: Path,
        mode: Mode,
        best: Mapping[str, str],
        upload_seconds: float = UPLOAD_SECONDS,
        beside: bool = False,
        **init: Any,
    ) -> None:
        super().__init__(save_dir=str(Path(folder).absolute()), mode=mode, resume=None, reinit="create_new", **init)
        del self._wandb_init["anonymous"]  # W&B warns of it
        self.problem: str | None = None
        self.url: str | None = None
        self._folder, self._mode, self._best = Path(folder).absolute() / "wandb", mode, best
        self._upload_seconds, self._beside = upload_seconds, beside
        self._started = self._ended = False
        self._environment = contextlib.ExitStack()
        self._calls = _Calls()

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """W&B's run, started at the first use; a stand-in that ignores every call once W&B has failed or has ended."""
        if self._experiment is None and not self._ended:
            self._guard("W&B could not start", self._start, START_SECONDS)
        return DummyExperiment() if self._experiment is None or self.problem else self._experiment

    def _start(self) -> None:
        import wandb

        _clear(self._folder, f"*run-*-{self._id}" if self._beside else "*")
        self._started = True
        temporary = self._folder / "tmp"
        _keep_temporary_files_in(temporary)
        own = str(self._folder)  # W&B would otherwise write tables and its log into the home folder
        self._environment.enter_context(environment_set(WANDB_DATA_DIR=own, WANDB_CACHE_DIR=own))
        settings = wandb.Settings(
            silent=self._mode == "offline",
            console="off",
            init_timeout=START_SECONDS / 3,
            finish_timeout=self._upload_seconds,
            finish_timeout_raises=True,
        )
        with environment_set(TMPDIR=str(temporary)):  # for W&B's service process, which starts here
            run = wandb.init(**self._wandb_init, settings=settings)
        run.define_metric(STEP, hidden=True)
        for name in ("train/*", "val/*", "maps/*"):
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

        def pictures() -> list[Any]:
            import wandb

            settings = [{name: values[place] for name, values in kwargs.items()} for place in range(len(images))]
            return [wandb.Image(image, **one) for image, one in zip(images, settings, strict=True)]

        self.log({key: pictures} if step is None else {STEP: lambda: step, key: pictures})

    @rank_zero_only
    def log_results(
        self, predictions: list[dict[str, Any]], maps: list[tuple[int, list[ProbeMaps]]], page: str | None
    ) -> None:
        """Log what came out of the run as tables and as an interactive page.

        Args:
            predictions: the rows of ``predictions.jsonl``.
            maps: the sentences' maps by step; the numbers of each head are those of the last.
            page: all maps as a page.
        """
        if predictions:
            rows = [list(row.values()) for row in predictions[:_PREDICTIONS]]
            self.log({"predictions": lambda: table(list(predictions[0]), rows)})
        if maps:
            heads = [
                [probe.probe, site.site, *astuple(head)]
                for probe in maps[-1][1]
                for site in probe.sites
                for head in head_numbers(site)
            ]
            self.log({"heads": lambda: table(_HEADS, heads)})
        if page is not None:
            self.log({"attention": lambda: html(page)})

    def log_record(self, run: Run) -> None:
        """Log the rows and pictures of ``run``'s record so far.

        Raises:
            Refused: if the record is damaged.
        """
        for row in run.metrics():
            values = {name: value for name, value in row.items() if name not in (STEP, "epoch")}
            self.log_metrics(values, int(row[STEP]))
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
        if self._ended:
            return
        self._ended = True
        limit = CALL_SECONDS + (self._upload_seconds if self._mode == "online" else 0)
        run, self._experiment = self._experiment, None
        try:
            if run is not None:

                def end() -> None:
                    run.summary.update({**figures, "state": state})
                    run.finish(exit_code=0 if state == "finished" else 1)

                self._guard("W&B could not finish", end, STOPPED_SECONDS if state == "interrupted" else limit)
        finally:
            self._clean_up()

    @rank_zero_only
    def log(self, values: Mapping[str, Callable[[], Any]]) -> None:
        """Log values that W&B makes: functions by name, each of which returns a table, a page or a picture."""
        self._call(lambda: self._experiment.log({name: make() for name, make in values.items()}))

    def _call(self, work: Callable[[], Any]) -> None:
        """Make one call to the W&B run, which starts where it has not yet."""
        _ = self.experiment
        if self._experiment is not None:
            self._guard("W&B stopped taking what was logged", work, CALL_SECONDS)

    def _guard(self, failure: str, work: Callable[[], Any], seconds: float) -> None:
        """Do ``work``; where it fails or exceeds its time, W&B is left alone from then on."""
        if self.problem is not None:
            return
        try:
            self._calls.make(work, seconds)
        except (Exception, SystemExit) as error:
            self.problem = f"{failure}: {one_line(error)}"
            log.warning("%s; the record is complete without it", self.problem)
            self._clean_up()

    def _clean_up(self) -> None:
        """End W&B's process, which writes until then, and undo what was set for it."""
        if not self._started:
            return
        self._started = False
        import wandb

        # It complains if its process is dead already; nothing else can be wrong with a run that has ended. In a thread of
        # its own, as a call may still hang in the other one: else Python would wait for W&B's process when it ends.
        with contextlib.suppress(Exception, SystemExit):
            _Calls().make(wandb.teardown, STOPPED_SECONDS)
        self._environment.close()
        shutil.rmtree(self._folder / "tmp", ignore_errors=True)


def make_wandb_logger(
    config: RunConfig,
    folder: Path,
    run_id: str,
    group: str | None,
    *,
    mode: Mode | None = None,
    patience: float = UPLOAD_SECONDS,
) -> GuardedWandbLogger | None:
    """Return the logger of a run, started; None where ``tracking.wandb=disabled``.

    Args:
        config: the run; stored in W&B as plain nested values.
        folder: the run's folder.
        run_id: W&B's name for the run, at least 8 characters; what W&B has under it is replaced.
        group: the sweep that the run belongs to, if any.
        mode: where to log; None: as ``config`` says.
        patience: seconds that :meth:`GuardedWandbLogger.finish` waits for the last uploads.
    """
    chosen = mode or config.tracking.wandb
    if chosen == "disabled":
        return None
    logger = GuardedWandbLogger(
        folder,
        chosen,
        {name: "max" if metric.higher_is_better else "min" for name, metric in metrics_of(config).items()},
        patience,
        project=config.tracking.project,
        entity=config.tracking.entity,
        group=group,
        job_type=config.task.name,
        id=run_id,
        name=config.name or Path(folder).resolve().name,
        notes=config.notes or None,
        tags=[config.attention.name, config.data.name, *config.tags],
        config=config.to_dict(),
    )
    try:
        _ = logger.experiment
    except BaseException:  # an interrupt; nobody has the logger yet who could end it
        logger.finish("interrupted", {})
        raise
    return logger


def log_run(path: str | Path, mode: Mode = "offline") -> str:
    """Log a record in W&B again, through the same logger, and return where W&B shows it.

    Args:
        path: the run's folder, whose ``wandb/`` is written anew; nothing else in it changes.
        mode: "offline" writes a folder for ``wandb sync``; "online" sends everything now.

    Raises:
        Refused: if there is no login, the record is damaged, or the run is being trained right now.
        RunFailed: if W&B does not take it.
    """
    run = Run.open(path)
    if run.alive():
        raise Refused(f"{run.path}: the run is being trained right now; log it once it has ended")
    if mode == "online":
        require_login("logging a record in W&B online", "log it offline")
    figures, run_id = final_figures(run.summary, run.environment()), run.summary["wandb"]["id"]
    # A record that says "running" without a process that trains it was left by one that was killed.
    state = "interrupted" if run.state == "running" else run.state
    logger = make_wandb_logger(run.config, run.path, run_id, run.summary.get("group"), mode=mode, patience=3600.0)
    assert logger is not None
    try:
        logger.log_record(run)
        if state == "finished":
            maps = maps_of(run)
            # Drawn anew: the page in a record of unknown origin could hold anything.
            page = maps_page(run.path.resolve().name, [MapSeries(run.config.attention.name, maps)]) if maps else None
            logger.log_results(run.predictions(), maps, page)
    except BaseException:
        logger.finish("interrupted", figures)
        raise
    logger.finish(state, figures)
    if logger.problem:
        raise RunFailed(f"{run.path}: not logged in W&B; {logger.problem}")
    return logger.url or str(run.path / "wandb")


def final_figures(summary: Mapping[str, Any], environment: Mapping[str, Any]) -> dict[str, Any]:
    """Return what W&B's summary shows at the end of a run, from ``summary.json`` and ``environment.json``."""
    figures = {f"{kind}/{name}": value for kind in ("test", "cost") for name, value in summary.get(kind, {}).items()}
    signatures = {f"signature/{name}": text for name, text in summary.get("signatures", {}).items()}
    return {
        **figures,
        **signatures,
        **{key: summary[key] for key in _ENDS if key in summary},
        "message": summary.get("message"),
        "weights_sha256": summary.get("weights_sha256"),
        "data_fingerprint": summary.get("data", {}).get("fingerprint"),
        "threads": environment.get("threads"),
    }


def require_login(asked: str = "tracking=online", instead: str = "train with tracking=offline") -> None:
    """Refuse what needs W&B's server where W&B knows no account. Whether the server can be reached is not asked.

    Args:
        asked: what needs the login.
        instead: what can be done without one.

    Raises:
        Refused: says how to log in.
    """
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
    """Return what ``error`` says as one line, with its kind in front where that says more."""
    text = " ".join(str(error).split())
    plain = text and (isinstance(error, TimeoutError) or type(error).__module__.startswith("wandb"))
    return text if plain else f"{type(error).__name__}: {text}".rstrip(": ")


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> Any:
    """Return a table as W&B takes it; a cell is a text, a number, a truth value or None."""
    import wandb

    return wandb.Table(columns=list(columns), data=[list(row) for row in rows], allow_mixed_types=True)


def html(page: str) -> Any:
    """Return a page as W&B takes it, without the link to a style sheet that W&B would otherwise add."""
    import wandb

    return wandb.Html(page, inject=False)


class _Calls:
    """One thread that makes every call to W&B, so that a call that hangs can be left behind.

    W&B waits without a limit for its service process: one that was killed is noticed at once, one that hangs never.
    """

    def __init__(self) -> None:
        self._calls: SimpleQueue[tuple[Callable[[], Any], Future[Any]]] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def make(self, work: Callable[[], Any], seconds: float) -> Any:
        """Return what ``work()`` returns, or raise what it raises, or TimeoutError."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="wandb-calls", daemon=True)
            self._thread.start()
        done: Future[Any] = Future()
        self._calls.put((work, done))
        try:
            return done.result(seconds)
        except TimeoutError:
            if done.done():
                raise
            raise TimeoutError(f"no answer within {seconds:g} s") from None

    def _work(self) -> None:
        while True:
            work, done = self._calls.get()
            try:
                done.set_result(work())
            except BaseException as error:
                done.set_exception(error)
            del work, done  # nothing of them stays in memory until the next call


@contextlib.contextmanager
def environment_set(**values: str) -> Iterator[None]:
    """Set environment variables for a while."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def _clear(folder: Path, pattern: str) -> None:
    """Remove what fits ``pattern`` in W&B's folder, and every link there: a record of unknown origin may lead anywhere."""
    if folder.is_symlink():
        raise OSError(f"{folder} is a symbolic link")
    for path in sorted(folder.glob("*")):
        if path.is_symlink() or path.is_file():
            path.unlink()
        elif path.match(pattern):
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
