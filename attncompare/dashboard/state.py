"""What the pages are told, as plain JSON values; every text in it is data and is shown as text."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from attncompare.dashboard.curves import curves, variant_colors
from attncompare.dashboard.labels import labels
from attncompare.dashboard.look import Look
from attncompare.dashboard.watch import Group, single_looks
from attncompare.errors import Refused
from attncompare.record import MEBIBYTE, read_inside
from attncompare.text import METRICS, TABLE_METRICS, TASK_TITLES

FILES = (
    *("config.yaml", "overrides.yaml", "environment.json", "summary.json"),
    *("metrics.csv", "predictions.jsonl", "losses.jsonl", "run.log"),
)
"""What a run's page offers to read, as plain text. Nothing else of a record is sent: no weights, no checkpoints."""
_LAST_LINES = 30


def state_of(groups: list[Group]) -> dict[str, Any]:
    """Return all sweeps and runs with how they stand."""
    return {"groups": [group_state(group, colors_of(group, groups)) for group in groups]}


def colors_of(group: Group, groups: list[Group]) -> dict[str, str]:
    """Return the color of each variant of ``group``; single runs stand in one table and share their colors."""
    if group.sweep:
        return variant_colors(group.looks)
    return variant_colors([*single_looks(groups), *group.looks])  # its own, too: it may have gone from there just now


def group_state(group: Group, colors: Mapping[str, str]) -> dict[str, Any]:
    """Return one sweep, single run, or all single runs, with all its runs; ``colors`` are those of the variants."""
    names = labels(group.looks)
    counts = Counter(look.state for look in group.looks)
    if group.waiting:
        counts["waiting"] = group.waiting  # type: ignore[index]
    return {
        "id": group.id,
        "name": group.name,
        "sweep": group.sweep,
        "title": _title(group, names),
        "counts": counts,
        "planned": sum(counts.values()),
        "changed": round(group.changed),
        "version": group.version,
        "runs": [run_state(look, name, colors[look.variant]) for look, name in zip(group.looks, names, strict=True)],
    }


def run_state(look: Look, label: str, color: str) -> dict[str, Any]:
    """Return one run as a row of a list."""
    loss = METRICS["loss"]
    return {
        "id": look.id,
        "name": look.name,
        "label": label,
        "color": color,
        "state": look.state,
        "message": look.message,
        "step": look.step,
        "steps": look.steps,
        "left": None if look.seconds_left is None else round(look.seconds_left),
        "train": "" if look.run is None else loss.format(look.train_loss),
        "val": "" if look.run is None else loss.format(look.val_loss),
        "best": "" if look.run is None else loss.format(look.best_loss),
        "test": _test(look),
        "spark": [round(value, 4) for value in look.spark],
        "changed": round(look.changed),
    }


def group_page(group: Group, groups: list[Group]) -> dict[str, Any]:
    """Return what the page of a sweep shows: its runs and their curves."""
    colors = colors_of(group, groups)
    return {"group": group_state(group, colors), "curves": curves(group.looks, labels(group.looks), colors)}


def run_page(look: Look, group: Group, groups: list[Group]) -> dict[str, Any]:
    """Return what the page of a run shows: how it stands, its curves, which files there are, the end of its log."""
    name, colors = labels(group.looks)[group.looks.index(look)], colors_of(group, groups)
    return {
        "run": run_state(look, name, colors[look.variant]),
        "group": {"id": group.id, "name": group.name, "sweep": group.sweep},
        "curves": curves([look], [name], colors),
        "files": [file for file in FILES if (look.folder / file).is_file()],
        "maps": look.run is not None and bool(look.run.map_files()),
        "log": _log(look),
        "facts": _facts(look),
    }


def _title(group: Group, names: list[str]) -> str:
    if not group.sweep:
        return names[0] if len(names) == 1 else "Single runs"
    tasks = [TASK_TITLES[task] for task in TASK_TITLES if any(look.task == task for look in group.looks)]
    variants = dict.fromkeys(look.variant for look in group.looks if look.variant)
    seeds = {look.run.config.seed for look in group.looks if look.run}
    counted = f"{len(seeds)} seeds" if len(seeds) > 1 else ""
    return " · ".join(part for part in (" and ".join(tasks), ", ".join(variants), counted) if part) or "Sweep"


def _test(look: Look) -> str:
    """Return the first test figure of a finished run, with its name."""
    for key in TABLE_METRICS.get(look.task, ()):
        if look.state == "finished" and key in look.test:
            return f"{METRICS[key].title} {METRICS[key].format(look.test[key])}"
    return ""


def _facts(look: Look) -> dict[str, str]:
    """Return what a run was asked for, and its final figures."""
    if look.run is None:
        return {}
    figures = {f"test {METRICS[key].title}": METRICS[key].format(look.test[key]) for key in METRICS if key in look.test}
    return {**figures, "asked for": " ".join(look.overrides) or "the defaults", "config": look.run.config.hash()[:6]}


def _log(look: Look) -> str:
    try:
        lines = read_inside(look.folder, "run.log", 16 * MEBIBYTE).decode(errors="replace").splitlines()
    except Refused:  # none, or far too long to look at
        return ""
    return "\n".join(lines[-_LAST_LINES:])
