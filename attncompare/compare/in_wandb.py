"""A comparison as W&B is shown it: tables of estimates and verdicts from the same data as ``--json``, and the page."""

import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from attncompare.compare.as_data import as_data
from attncompare.compare.groups import Comparison
from attncompare.text import COSTS, METRICS, TABLE_COSTS
from attncompare.wandb_logging.offline_run import COMPARISON_ID
from attncompare.record import Run

_RESULTS = ("task", "split", "variant", "same as", "metric", "mean", "low", "high", "sd", "n")
_VERDICTS = (
    "task",
    "split",
    "first",
    "second",
    "metric",
    "difference",
    "low",
    "high",
    "n",
    "p",
    "p (Holm)",
    "better",
    "verdict",
)
_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")
_MOST_NOTED = 20  # sentences in W&B's notes; the table has all


def show_in_wandb(comparisons: Sequence[Comparison], page: Path) -> str:
    """Show ``comparisons`` and their ``page`` as one run of W&B, and return where, in words.

    The run has the job type "comparison" and the group of the runs compared, if they have one in common. It is sent
    where one of them was tracked online; else it is kept beside the page, for ``wandb sync``.

    Raises:
        Refused: if it should be sent and there is no login.
        RunFailed: if W&B does not take it.
    """
    from attncompare.wandb_logging.wandb_comparison import ShownComparison, Table, show_comparison

    runs = [run for comparison in comparisons for variant in comparison.variants for run in variant.runs]
    data = as_data(comparisons)["comparisons"]
    group = common_group(runs)
    sentences = [verdict["sentence"] for one in data for verdict in one["verdicts"]]
    tracking = runs[0].config.tracking
    shown = ShownComparison(
        run_id=COMPARISON_ID
        + _digest(group or sorted(wandb_id(run) for run in runs), [one["options"] for one in data]),
        project=tracking.project,
        entity=tracking.entity,
        group=group,
        name=f"comparison {group}" if group else f"comparison of {len(runs)} runs",
        notes="\n".join(sentences[:_MOST_NOTED]),
        config={"runs": [wandb_id(run) for run in runs], "options": [one["options"] for one in data]},
        summary={
            "runs": len(runs),
            "variants": sum(len(one["variants"]) for one in data),
            "left_out": sum(len(one["left_out"]) for one in data),
            "decided": sum(verdict["decided"] for one in data for verdict in one["verdicts"]),
        },
        page=page.read_text(encoding="utf-8"),
        tables={
            "results": Table(_RESULTS, [row for one in data for row in _results(one)]),
            "verdicts": Table(_VERDICTS, [row for one in data for row in _verdicts(one)]),
        },
    )
    return show_comparison(page.parent, shown, online=tracked_online(runs))


def tracked_online(runs: Sequence[Run]) -> bool:
    """Return whether one of ``runs`` was sent to W&B while it trained."""
    return any(run.config.tracking.wandb == "online" for run in runs)


def _results(one: dict[str, Any]) -> list[list[Any]]:
    rows = []
    for variant in one["variants"]:
        for key, estimate in variant["estimates"].items():
            low, high = _ends(estimate["interval"])
            spread = [estimate["mean"], low, high, estimate["sd"], estimate["n"]]
            rows.append([one["task"], one["split"], variant["label"], variant["same_as"], METRICS[key].title, *spread])
        figures = [run["figures"] for run in variant["runs"]]
        for key in TABLE_COSTS:
            known = [value for value in (figure.get(key) for figure in figures) if isinstance(value, int | float)]
            mean = sum(known) / len(known) if known else None
            rest = [mean, None, None, None, len(known)]
            rows.append([one["task"], one["split"], variant["label"], variant["same_as"], COSTS[key].title, *rest])
    return [[_cell(value) for value in row] for row in rows]


def _verdicts(one: dict[str, Any]) -> list[list[Any]]:
    rows = []
    for verdict in one["verdicts"]:
        difference = verdict["difference"]
        low, high = _ends(difference["interval"])
        names = [one["task"], one["split"], verdict["first"], verdict["second"], METRICS[verdict["metric"]].title]
        figures = [difference["mean"], low, high, difference["n"], difference["p"], difference["p_holm"]]
        rows.append([*names, *figures, verdict["better"] or "not decided", verdict["sentence"]])
    return [[_cell(value) for value in row] for row in rows]


def _ends(interval: dict[str, Any] | None) -> tuple[Any, Any]:
    return (interval["low"], interval["high"]) if interval else (None, None)


def _cell(value: Any) -> Any:
    """Return a figure that has no place in JSON as the number that it is: W&B knows those."""
    return float(value) if value in ("nan", "inf", "-inf") else value


def common_group(runs: Sequence[Run]) -> str | None:
    """Return the group that all ``runs`` have in W&B, None where they have none in common."""
    groups = {run.summary.get("group") for run in runs}
    group = groups.pop()
    return group if not groups and isinstance(group, str) else None


def wandb_id(run: Run) -> str:
    """Return W&B's name of a run, or the hash of its config where its record names none that could be one."""
    known = run.summary.get("wandb")
    run_id = known.get("id") if isinstance(known, dict) else None
    return run_id if isinstance(run_id, str) and _ID.fullmatch(run_id) else run.config.hash()[:16]


def _digest(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]
