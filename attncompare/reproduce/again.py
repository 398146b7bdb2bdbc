"""One reproduction, from the facts of a run to ``reproduction.json`` in the folder of the new one."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from attncompare.config import RunConfig, parse
from attncompare.errors import Refused
from attncompare.reproduce.at_commit import Job, train_at
from attncompare.reproduce.environment import current, not_recorded
from attncompare.reproduce.facts import Facts, facts_of
from attncompare.reproduce.report import REPORT, Reproduction
from attncompare.reproduce.sources import CHECKOUT
from attncompare.reproduce.steps import beyond, first_steps, require_rows
from attncompare.reproduce.verdict import Comparison, Difference, compare
from attncompare.reproduce.wish import Shown, Wish
from attncompare.reproduce.worktree import require_commit, worktree
from attncompare.record import Change, changes, said
from attncompare.record import write_json
from attncompare.training.progress import Progress
from attncompare.record import Run
from attncompare.record import MANIFEST, seal


def reproduce(recorded: Facts, wish: Wish, shown: Shown) -> Reproduction:
    """Train a recorded run again into a new folder and compare; what differs around it is said before.

    A record may come from a stranger. So its config decides every number, but neither where files go nor what is
    published, nor another run that would be gone on with: ``runs``, ``tracking.wandb`` and ``resume`` are set here (they
    decide no number). Its uncommitted changes of the code are never applied, because that would run a stranger's code.

    Raises:
        Refused: if this cannot be trained again as asked; nothing was written.
        RunFailed: if training fails.
    """
    last, stop_after = first_steps(recorded, wish.steps)
    _require_course(recorded)
    missing = [f"{key} (not in the record)" for key in not_recorded(recorded.environment)]
    if note := beyond(recorded, wish.steps):
        shown.say(note)
    if wish.exact_code:
        run, fingerprint, found = _at_recorded_commit(recorded, wish, stop_after, shown)
    else:
        run, fingerprint, found = _here(recorded, wish, stop_after, shown)
    if run is None:
        other = Difference("data_fingerprint", None, recorded.data_fingerprint, fingerprint)
        everything = "all metrics (nothing was trained)"
        return Reproduction(recorded, None, Comparison((other,), (), (everything,), wish.tolerance), tuple(found))
    comparison = compare(recorded, facts_of(run), steps=last, tolerance=wish.tolerance)
    comparison = replace(comparison, not_compared=(*comparison.not_compared, *missing))
    outcome = Reproduction(recorded, run.path, comparison, tuple(found))
    write_json(run.path / REPORT, outcome.to_dict())
    return outcome


def train_once(values: dict[str, Any], wish: Wish, shown: Shown, source: str) -> Facts:
    """Train a config of which nothing was recorded, for a second training to be compared with."""
    from attncompare.training.run import train

    try:
        config = _kept_here(parse(values), wish.runs)
    except Refused as error:
        raise Refused(f"{source}: {error}") from None
    first = min(config.trainer.log_every, config.trainer.validate_every, config.trainer.max_steps)
    require_rows(wish.steps, first, source)
    # Training stops before the validation that is due after that step.
    one_more = wish.steps is not None and wish.steps % config.trainer.validate_every == 0
    run = train(
        config,
        [f"reproduce={source}"],
        parent=wish.parent,
        stop_after=None if wish.steps is None else wish.steps + one_more,
        on_progress=shown.on_progress,
        on_folder=shown.on_folder,
    )
    return facts_of(run)


def _here(recorded: Facts, wish: Wish, stop_after: int | None, shown: Shown) -> tuple[Run | None, str, list[Change]]:
    """Train with the code that runs now; return the run, the data's fingerprint, and what differs around it."""
    import torch

    from attncompare.data.module import DataModule
    from attncompare.training.demands import require_feasible
    from attncompare.training.run import train

    config, threads = _kept_here(recorded.config, wish.runs), recorded.threads
    shown.on_progress(Progress("preparing data", 0, config.trainer.max_steps))
    require_feasible(config)
    data = DataModule(config)
    data.prepare()
    threads_now = config.trainer.threads or threads or torch.get_num_threads()
    found = changes(recorded.environment, current(data.fingerprint, threads_now))
    _say(found, recorded, shown)
    if recorded.data_fingerprint not in (None, data.fingerprint):
        return None, data.fingerprint, found
    run = train(
        config,
        [f"reproduce={recorded.source}"],
        parent=wish.parent,
        threads=threads,
        stop_after=stop_after,
        course=recorded.course,
        on_progress=shown.on_progress,
        on_folder=shown.on_folder,
    )
    return run, data.fingerprint, found


def _at_recorded_commit(
    recorded: Facts, wish: Wish, stop_after: int | None, shown: Shown
) -> tuple[Run | None, str, list[Change]]:
    """Do what :func:`_here` does, with the code of the recorded commit."""
    import torch

    commit = require_commit(CHECKOUT, recorded.commit, recorded.source)
    threads = recorded.threads
    code = {"git": {"commit": commit}}
    expected = {**current(recorded.data_fingerprint or "", threads or torch.get_num_threads()), **code}
    found = changes(recorded.environment, expected)
    _say(found, recorded, shown)
    if any(change.what in ("git.diff", "git.untracked") for change in found):
        shown.say("the record's uncommitted changes of the code are left out")
    job = Job(
        values=_values_kept_here(recorded, wish.runs),
        overrides=[f"reproduce={recorded.source}", f"commit={commit}"],
        threads=threads,
        stop_after=stop_after,
        data_fingerprint=recorded.data_fingerprint,
        parent=str(wish.parent) if wish.parent else None,
        course=asdict(recorded.course) if recorded.course else None,
    )
    with worktree(CHECKOUT, commit) as folder:
        path, fingerprint = train_at(folder, job, shown)
    if path is None:
        found.insert(0, Change("data_fingerprint", recorded.data_fingerprint, fingerprint))
    return _opened(path) if path else None, fingerprint, found


def _require_course(recorded: Facts) -> None:
    timed = recorded.values.get("trainer")
    if isinstance(timed, dict) and timed.get("max_time") is not None and recorded.course is None:
        raise Refused(
            f"{recorded.source}: it was trained by the clock, and its record does not tell for how many steps"
        )


def _opened(path: Path) -> Run:
    if not (path / MANIFEST).exists():  # older code seals nothing
        seal(path)
    return Run.open(path)


def _kept_here(config: RunConfig, runs: str) -> RunConfig:
    tracking = config.tracking.model_copy(update={"wandb": "disabled"})
    return config.model_copy(update={"runs": runs, "tracking": tracking, "resume": None})


def _values_kept_here(recorded: Facts, runs: str) -> dict[str, Any]:
    tracking = recorded.values.get("tracking")
    if not isinstance(tracking, dict):
        raise Refused(f"{recorded.source}: its config has no section tracking")
    resume = {"resume": None} if "resume" in recorded.values else {}  # older code does not know the key
    return {**recorded.values, **resume, "runs": runs, "tracking": {**tracking, "wandb": "disabled"}}


def _say(found: list[Change], recorded: Facts, shown: Shown) -> None:
    lines, unknown = said(found), not_recorded(recorded.environment)
    whole = "as recorded, as far as it was" if unknown else "all as recorded"
    shown.say("\n".join(["not as it was recorded:", *(f"  {line}" for line in lines)]) if lines else whole)
    if unknown:
        shown.say(f"not known, as it is not in the record: {', '.join(unknown)}")
