"""A comparison as one run of W&B: tables of estimates and verdicts from the same data as ``--json``, and the page."""

import hashlib
import json
import os
import shlex
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from attncompare.compare.data import as_data
from attncompare.compare.groups import Comparison
from attncompare.compare.table import TABLE_COSTS
from attncompare.errors import RunFailed
from attncompare.record import Run
from attncompare.text import COSTS

JOB_TYPE = "comparison"
_RESULTS = ("task", "split", "variant", "same as", "metric", "mean", "low", "high", "sd", "n")
_VERDICTS = (
    *("task", "split", "first", "second", "metric", "difference", "low", "high", "n", "p", "p (Holm)"),
    *("better", "verdict"),
)
_MOST_NOTED = 20  # sentences in W&B's notes; the table has all


def show_in_wandb(comparisons: Sequence[Comparison], page: Path) -> str:
    """Show ``comparisons`` and their ``page`` as one run of W&B, and return where, in words.

    The run has the job type "comparison" and the group of the runs compared, if they have one in common. It is sent
    where one of them was tracked online; else it stays beside the page, for ``wandb sync``. Showing the same comparison
    again replaces it.

    Raises:
        RunFailed: if W&B does not take it.
    """
    runs = [run for comparison in comparisons for variant in comparison.variants for run in variant.runs]
    titles = {metric.name: metric.title for comparison in comparisons for metric in comparison.metrics.values()}
    data = as_data(comparisons)["comparisons"]
    group, tracking = common_group(runs), runs[0].config.tracking
    shown_options = [one["options"] for one in data]
    identity = json.dumps([group or sorted(wandb_id(run) for run in runs), shown_options])
    run_id = f"{JOB_TYPE}-{hashlib.sha256(identity.encode()).hexdigest()[:16]}"
    sentences = [verdict["sentence"] for one in data for verdict in one["verdicts"]]
    tables = {
        "results": (_RESULTS, [row for one in data for row in _results(one, titles)]),
        "verdicts": (_VERDICTS, [row for one in data for row in _verdicts(one, titles)]),
    }
    online = tracked_online(runs)
    folder = page.parent.absolute()
    try:
        import wandb

        for old in (folder / "wandb").glob(f"*run-*-{run_id}"):
            shutil.rmtree(old)
        (folder / "wandb").mkdir(exist_ok=True)
        run = wandb.init(
            mode="online" if online else "offline",
            dir=str(folder),
            project=tracking.project,
            entity=tracking.entity,
            group=group,
            job_type=JOB_TYPE,
            id=run_id,
            resume="allow" if online else None,
            name=f"{JOB_TYPE} {group}" if group else f"{JOB_TYPE} of {len(runs)} runs",
            notes="\n".join(sentences[:_MOST_NOTED]),
            tags=[JOB_TYPE],
            config={"runs": [wandb_id(one) for one in runs], "options": shown_options},
            reinit="create_new",
            settings=wandb.Settings(silent=True, console="off", init_timeout=30, finish_timeout=300),
        )
        logged: dict[str, Any] = {
            name: wandb.Table(columns=list(columns), data=rows, allow_mixed_types=True)
            for name, (columns, rows) in tables.items()
        }
        # W&B would otherwise add a link to a style sheet of its own to the page.
        run.log({"report": wandb.Html(page.read_text(encoding="utf-8"), inject=False), **logged})
        counts = {name: sum(len(one[name]) for one in data) for name in ("variants", "left_out")}
        decided = sum(verdict["decided"] for one in data for verdict in one["verdicts"])
        run.summary.update({"runs": len(runs), "decided": decided, **counts})
        run.finish()
    except (Exception, SystemExit) as error:
        raise RunFailed(f"the comparison is not in W&B: {' '.join(str(error).split())}") from None
    if online:
        return str(run.url)
    return f"kept for later; send it with: wandb sync {shlex.quote(os.path.relpath(run.settings.sync_dir))}"


def tracked_online(runs: Sequence[Run]) -> bool:
    """Return whether one of ``runs`` was sent to W&B while it trained."""
    return any(run.config.tracking.wandb == "online" for run in runs)


def common_group(runs: Sequence[Run]) -> str | None:
    """Return the group that all ``runs`` have in W&B, None where they have none in common."""
    groups = {run.summary.get("group") for run in runs}
    group = groups.pop()
    return group if not groups and isinstance(group, str) else None


def wandb_id(run: Run) -> str:
    """Return W&B's name of a run, or the hash of its config where its record names none."""
    known = run.summary.get("wandb")
    run_id = known.get("id") if isinstance(known, dict) else None
    return run_id if isinstance(run_id, str) else run.config.hash()[:16]


def _results(one: dict[str, Any], titles: dict[str, str]) -> list[list[Any]]:
    rows = []
    for variant in one["variants"]:
        names = [one["task"], one["split"], variant["label"], variant["same_as"]]
        for name, found in variant["estimates"].items():
            spread = [found["mean"], *_ends(found["interval"]), found["sd"], found["n"]]
            rows.append([*names, titles[name], *map(_cell, spread)])
        for name in TABLE_COSTS:
            figures = [run["figures"][name] for run in variant["runs"]]
            known = [value for value in figures if isinstance(value, int | float)]
            mean = sum(known) / len(known) if known else None
            rows.append([*names, COSTS[name].title, mean, None, None, None, len(known)])
    return rows


def _verdicts(one: dict[str, Any], titles: dict[str, str]) -> list[list[Any]]:
    rows = []
    for verdict in one["verdicts"]:
        found = verdict["difference"]
        names = [one["task"], one["split"], verdict["first"], verdict["second"], titles[verdict["metric"]]]
        figures = [found["mean"], *_ends(found["interval"]), found["n"], found["p"], found["p_holm"]]
        rows.append([*names, *map(_cell, figures), verdict["better"] or "not decided", verdict["sentence"]])
    return rows


def _ends(interval: dict[str, Any] | None) -> tuple[Any, Any]:
    return (interval["low"], interval["high"]) if interval else (None, None)


def _cell(value: Any) -> Any:
    """Return a figure that has no place in JSON as the number that it is: W&B knows those."""
    return float(value) if value in ("nan", "inf", "-inf") else value
