"""What the variants cost: estimates over runs, which are cheapest beyond the noise, and what makes costs incomparable."""

from collections.abc import Callable, Mapping
from statistics import fmean, stdev

import numpy as np

from attncompare.compare.groups import Comparison, Variant
from attncompare.compare.statistics import Estimate, t_interval, welch_interval
from attncompare.record import Run
from attncompare.text import COSTS, Cost

_UNEQUAL_LOAD = 1.0  # processes a core
# What measured costs depend on beside the model, as environment.json and the config say it.
_MACHINE: dict[str, Callable[[Run], object]] = {
    "processor": lambda run: run.environment().get("cpu"),
    "device": lambda run: run.environment().get("device"),
    "cores": lambda run: run.environment().get("cores"),
    "threads": lambda run: run.environment().get("threads"),
}


def cost_figures(comparison: Comparison, variant: Variant, name: str) -> list[float]:
    """Return the cost ``name`` of all runs of the variant's model, under whatever name; none where one lacks it.

    A model has one cost: what differs between its names is noise of the measurement.
    """
    model = variant.same_as or variant.label
    runs = {run.path: run for one in comparison.variants if model in (one.label, one.same_as) for run in one.runs}
    found = [comparison.figure(run, name) for run in runs.values()]
    present = [float(figure) for figure in found if figure is not None]
    return present if len(present) == len(found) else []


def cost_estimates(comparison: Comparison) -> dict[tuple[str, str], Estimate]:
    """Return by variant's label and cost the mean over runs with its interval; nothing where a run lacks the figure."""
    return {
        (variant.label, name): _estimate(figures, cost)
        for variant in comparison.variants
        for name, cost in COSTS.items()
        if (figures := cost_figures(comparison, variant, name))
    }


def _estimate(figures: list[float], cost: Cost) -> Estimate:
    """Return the mean with Student's interval: other work on the machine leaves outliers that no bootstrap bears."""
    mean, n = fmean(figures), len(figures)
    if n == 1 or cost.exact:
        return Estimate(mean, None, None, n)
    sd = stdev(figures)
    return Estimate(mean, sd, t_interval(mean, sd, n).within(0.0, None), n)


def apart(first: list[float], second: list[float], cost: Cost) -> bool:
    """Return whether two costs differ: exact ones in the digits shown, measured ones by Welch's 95 % interval."""
    if cost.exact:
        return cost.format(fmean(first)) != cost.format(fmean(second))
    if min(len(first), len(second)) < 2:
        return False  # one measurement does not tell its noise
    interval = welch_interval(np.array(first), np.array(second))
    return not interval.low <= 0 <= interval.high


def cheapest(comparison: Comparison) -> dict[str, set[str]]:
    """Return by cost the labels of the cheapest variant and of those that are not dearer beyond the noise.

    Empty where none is dearer, and where measured costs come from different machines.
    """
    found: dict[str, set[str]] = {}
    noted = bool(cost_notes(comparison))
    for name, cost in COSTS.items():
        figures = {one.label: own for one in comparison.ranked if (own := cost_figures(comparison, one, name))}
        if len(figures) > 1 and (cost.exact or not noted):
            sign = -1 if cost.higher_is_better else 1
            best = min(figures, key=lambda label: sign * fmean(figures[label]))
            near = {label for label, own in figures.items() if not apart(own, figures[best], cost)}
            found[name] = near if len(near) < len(figures) else set()
    return found


def cost_notes(comparison: Comparison) -> list[str]:
    """Return a note where runs were not made on equal machines, so that measured costs cannot be compared."""
    told = []
    for fact, value in _MACHINE.items():
        values: Mapping[str, None] = {
            str(value(run)): None for one in comparison.variants for run in one.runs if value(run) is not None
        }
        told += [f"{fact} {' or '.join(values)}"] if len(values) > 1 else []
    measured = "speed, memory and time cannot be compared"
    notes = [f"not all trained on the same machine ({'; '.join(told)}): {measured}"] if told else []
    known = [run.environment().get("load") for one in comparison.variants for run in one.runs]
    loads = [load for load in known if isinstance(load, int | float)]
    if loads and max(loads) - min(loads) > _UNEQUAL_LOAD:
        when = f"{min(loads):.1f} to {max(loads):.1f} processes a core when training began"
        notes.append(f"the machine was not equally busy ({when}): speed and time cannot be compared")
    return notes
