"""Recorded runs shown in W&B, from their records alone: what was recorded offline, or what W&B missed."""

import logging
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attncompare.errors import Refused, RunFailed
from attncompare.maps.page import MapSeries, maps_page
from attncompare.record import Run, State, find_runs
from attncompare.wandb_logging.wandb_figures import final_figures
from attncompare.wandb_logging.wandb_view import Mode, WandbView, require_login

# There is no run.log here: what the view would write there is raised.
logging.getLogger("attncompare").addHandler(logging.NullHandler())
_PATIENCE = 3600.0  # seconds: nobody but the one who uploads waits for it
_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")


def upload(
    paths: Sequence[str | Path], *, offline: bool = False, on_run: Callable[[Run, str], None] = lambda *_: None
) -> None:
    """Show every run among ``paths`` in W&B. What W&B's server has of a run already is not sent again.

    Args:
        paths: folders of runs, or folders that hold runs.
        offline: build W&B's offline folder anew, in each run's ``wandb/``, instead of sending anything.
        on_run: told of each run that is done, and where W&B shows it.

    Raises:
        Refused: before anything is sent, if there is no login, or a run cannot be shown.
        RunFailed: at the first run that W&B does not take.
    """
    runs = find_runs(paths)
    for run in runs:
        _run_id(run)
        if run.alive():
            raise Refused(f"{run.path}: the run is being trained right now; upload it once it has ended")
    if not offline:
        require_login("upload", "build a folder for `wandb sync` with attncompare upload --offline")
    for run in runs:
        on_run(run, _upload_one(run, offline))


def _upload_one(run: Run, offline: bool) -> str:
    """Show ``run`` and return where W&B shows it."""
    # A record that says "running" without a process that trains it was left by one that was killed.
    state: State = "interrupted" if run.state == "running" else run.state
    figures = _final_figures(run)
    with _staged(run, offline) as folder:
        mode: Mode = "offline" if offline else "online"
        group, run_id = run.summary.get("group"), _run_id(run)
        view = WandbView.start(folder, run.config, group, run_id=run_id, mode=mode, patience=_PATIENCE)
        try:
            view.replay(run)
            if state == "finished":
                _show_results(run, view)
        except BaseException:
            view.finish("interrupted", figures)
            raise
        view.finish(state, figures)
        if view.problem:
            raise RunFailed(f"{run.path}: not uploaded; {view.missing()}")
        return view.url or f"{run.path / 'wandb'}"


def _final_figures(run: Run) -> dict[str, Any]:
    try:
        return final_figures(run.summary, run.environment())
    except (AttributeError, TypeError) as error:
        raise Refused(f"{run.path / 'summary.json'}: damaged ({error})") from None


def _show_results(run: Run, view: WandbView) -> None:
    """Show what the end of a run shows. The page is drawn anew: the one in a stranger's record could hold anything."""
    maps = run.maps()
    title, label = run.path.resolve().name, run.config.attention.name
    view.results(run.predictions(), maps, maps_page(title, [MapSeries(label, maps)]) if maps else None)


@contextmanager
def _staged(run: Run, offline: bool) -> Iterator[Path]:
    """Give the folder in which W&B keeps its files: the run's own, or one that is removed, so that no record changes."""
    if offline:
        yield run.path.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="attncompare-upload-") as scratch:
        folder = Path(scratch) / run.path.resolve().name  # W&B shows the run under its folder's name
        folder.mkdir()
        yield folder


def _run_id(run: Run) -> str:
    """Return the name by which W&B knows the run, the same for every upload."""
    kept = run.summary.get("wandb")
    run_id = kept.get("id") if isinstance(kept, dict) else None
    if not isinstance(run_id, str) or not _ID.fullmatch(run_id):
        raise Refused(
            f"{run.path / 'summary.json'}: wandb.id={run_id!r} is no name of a W&B run (8 to 64 letters or digits)"
        )
    return run_id
