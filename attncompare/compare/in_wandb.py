"""A comparison as one run of W&B: tables of estimates and verdicts from the same data as ``--json``, and the page."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from attncompare.compare.data import as_data
from attncompare.compare.groups import Comparison
from attncompare.record import Run
from attncompare.wandb_logging.comparison import COMPARISON_ID, ShownComparison, Table, show_comparison

_NAMES = ("task", "split", "variant", "same_as", "metric", "mean", "low", "high", "sd", "n")
_PAIR = ("first", "second", "metric")
_NUMBERS = ("mean", "low", "high", "n", "p", "p_holm", "p_family")
_MOST_NOTED = 20  # sentences in W&B's notes; the table has all


def show_in_wandb(comparisons: Sequence[Comparison], page: Path) -> str:
    """Show ``comparisons`` and their ``page`` as one run of W&B, and return where, in words.

    The run has the group of the runs compared, if they have one in common. It is sent where one of them was tracked
    online; else it stays beside the page, for ``wandb sync``. Showing the same comparison again replaces it.

    Raises:
        Refused: if it should be sent and there is no login.
        RunFailed: if W&B does not take it.
    """
    runs = [run for comparison in comparisons for variant in comparison.variants for run in variant.runs]
    data = as_data(comparisons)["comparisons"]
    groups = {run.summary.get("group") for run in runs}
    group = groups.pop() if len(groups) == 1 else None
    ids = [run.summary["wandb"]["id"] if run.summary.get("wandb") else run.config.hash()[:16] for run in runs]
    identity = json.dumps([group or sorted(ids), [one["options"] for one in data]])
    verdicts = [verdict for one in data for verdict in one["verdicts"]]
    tracking = runs[0].config.tracking
    shown = ShownComparison(
        run_id=COMPARISON_ID + hashlib.sha256(identity.encode()).hexdigest()[:16],
        project=tracking.project,
        entity=tracking.entity,
        group=group,
        name=f"comparison {group}" if group else f"comparison of {len(runs)} runs",
        notes="\n".join(verdict["sentence"] for verdict in verdicts[:_MOST_NOTED]),
        config={"runs": ids, "options": [one["options"] for one in data]},
        summary={
            "runs": len(runs),
            "variants": sum(len(one["variants"]) for one in data),
            "left_out": sum(len(one["left_out"]) for one in data),
            "decided": sum(verdict["decided"] for verdict in verdicts),
        },
        page=page.read_text(encoding="utf-8"),
        tables={
            "results": Table(_NAMES, [row for one in data for row in _results(one)]),
            "verdicts": Table(
                ("task", "split", *_PAIR, *_NUMBERS, "better", "verdict"),
                [row for one in data for row in _verdicts(one)],
            ),
        },
    )
    return show_comparison(page.parent, shown, online=tracked_online(runs))


def tracked_online(runs: Sequence[Run]) -> bool:
    """Return whether one of ``runs`` was sent to W&B while it trained."""
    return any(run.config.tracking.wandb == "online" for run in runs)


def _results(one: dict[str, Any]) -> list[list[Any]]:
    return [
        [one["task"], one["split"], variant["label"], variant["same_as"], name, *_row(found, _NAMES[5:])]
        for variant in one["variants"]
        for name, found in variant["estimates"].items()
    ]


def _verdicts(one: dict[str, Any]) -> list[list[Any]]:
    return [
        [
            *(one["task"], one["split"], *(verdict[key] for key in _PAIR)),
            *_row(verdict["difference"], _NUMBERS),
            *(verdict["better"] or "not decided", verdict["sentence"]),
        ]
        for verdict in one["verdicts"]
    ]


def _row(found: dict[str, Any], keys: Sequence[str]) -> list[Any]:
    """Return numbers of an estimate or a difference, with the ends of its interval; NaN, a text in JSON, as a number."""
    values = {**found, **(found["interval"] or {})}
    return [float(value) if isinstance(value := values.get(key), str) else value for key in keys]
