"""Runs grouped for a comparison: first by task, then by variant; the seeds of a variant stand together."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from attncompare import registry
from attncompare.compare.axes import Axis, axes_of, crossing_note
from attncompare.compare.checks import (
    Options,
    check_equal_footing,
    check_same_text,
    check_seeds,
    code_notes,
    require_finished,
    scoring_notes,
)
from attncompare.compare.gathering import LeftOut
from attncompare.compare.identity import fingerprint, labels, model, model_without_seed, named_seeds, once
from attncompare.compare.looks import Look, looks_before, trained_in
from attncompare.compare.selection import Budget, at_budget, equal_parameters, tune
from attncompare.compare.statistics import collapsed, level_after, robust_sd
from attncompare.config import variant_label
from attncompare.config.schema import CompareConfig
from attncompare.errors import Refused
from attncompare.maps import variant_colors
from attncompare.maps.heads import head_metrics
from attncompare.record import Run
from attncompare.tasks.metrics import Metric, metrics_of
from attncompare.text import COSTS, counted

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True)
class Variant:
    """One row of a comparison: the runs of one variant, one for each seed, by seed.

    Attributes:
        color: ``#rrggbb``, the same in all tasks that are compared together.
        same_as: the variant that stands for this model, where these are the same runs under another name.
        control_of: the variant that trains the same model from other seeds: a fair comparison cannot tell both apart.
        diverged: seeds whose run failed because loss or gradient became NaN or infinite; they count as the worst figures.
    """

    label: str
    runs: tuple[Run, ...]
    color: str = ""
    same_as: str | None = None
    control_of: str | None = None
    diverged: tuple[int, ...] = ()

    @property
    def title(self) -> str:
        """The label, with the identical model where there is one: "causal = scaled"."""
        return self.label if self.same_as is None else f"{self.label} = {self.same_as}"

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds of its runs, ascending."""
        return tuple(run.config.seed for run in self.runs)

    @property
    def all_seeds(self) -> tuple[int, ...]:
        """The seeds of its runs and those that diverged, ascending."""
        return tuple(sorted((*self.seeds, *self.diverged)))

    @property
    def diverged_note(self) -> str | None:
        """Which seeds diverged, in words: "seed 7 of dot diverged"; None where none did."""
        return f"{named_seeds(self.diverged)} of {self.label} diverged" if self.diverged else None


@dataclass(frozen=True, eq=False)
class Comparison:
    """All variants of one task.

    Attributes:
        metrics: those of its runs by name, the most important first.
        notes: what a reader must know before believing a difference.
        left_out: the runs that were found beside them and could not take part.
        budget: the training budget at which figures of val are compared; None: final figures of test.
        looks: at other seeds of this sweep, before these.
        tuned: by the path of a run, the mean figures on val of all values that were tried for its variant (``--tune``).
        planned: what the sweep named before it was trained: the metric and the baseline (``compare.metric``,
            ``compare.baseline``).
        axes: along which the variants differ.
    """

    task: str
    title: str
    metrics: Mapping[str, type[Metric]]
    variants: tuple[Variant, ...]
    notes: tuple[str, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    options: Options = field(default_factory=Options)
    budget: Budget | None = None
    looks: tuple[Look, ...] = ()
    tuned: Mapping[Path, tuple[float, ...]] = field(default_factory=dict)
    planned: CompareConfig = field(default_factory=CompareConfig)
    axes: tuple[Axis, ...] = ()

    def __repr__(self) -> str:
        runs = sum(len(variant.runs) for variant in self.variants)
        names = ", ".join(variant.label for variant in self.variants)
        leading = f", first in {self.shown[0].title}" if self.shown else ""
        return f"Comparison({self.title}: {names}; {counted(runs, 'run')}{leading})"

    def _repr_html_(self) -> str:
        """Return what a notebook shows: the table, the verdicts, and what must be known before believing a difference."""
        from attncompare.compare.export import as_html  # which reads this file

        return as_html(self)

    def to_frame(self) -> "DataFrame":
        """Return a pandas table with a row for each figure (:func:`attncompare.compare.export.rows`)."""
        from attncompare.compare.export import as_frame

        return as_frame(self)

    @property
    def tested(self) -> tuple[type[Metric], ...]:
        """The metrics in which variants are tested against each other, the most important first."""
        if self.options.metric is not None:
            return (self.metrics[self.options.metric],)
        return tuple(metric for metric in self._prominent if metric.tested)

    @property
    def shown(self) -> tuple[type[Metric], ...]:
        """The metrics that the table shows."""
        return self.tested if self.options.metric else tuple(one for one in self._prominent if one.in_table)

    @property
    def one_tokenizer(self) -> bool:
        """Whether all variants cut text into the same tokens, so that figures per token stand beside each other."""
        return len({variant.runs[0].config.data.tokenizer for variant in self.variants}) == 1

    @property
    def drawn(self) -> tuple[type[Metric], ...]:
        """The metrics that pictures show: those of the table that mean the same for all variants, and one that was asked for."""
        shown = [one for one in self._prominent if one.in_table or one.name == self.options.metric]
        return tuple(one for one in shown if self.one_tokenizer or not one.per_token)

    @property
    def _prominent(self) -> tuple[type[Metric], ...]:
        return tuple(one for one in self.metrics.values() if not set(one.unless) & set(self.metrics))

    @property
    def ranked(self) -> tuple[Variant, ...]:
        """Each model once, and its controls."""
        return tuple(variant for variant in self.variants if variant.same_as is None)

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds of all models, also those that diverged, ascending."""
        return tuple(sorted({seed for variant in self.ranked for seed in variant.all_seeds}))

    @property
    def level(self) -> float:
        """At or below which corrected p a difference is decided."""
        return level_after([look.spent for look in self.looks])

    @property
    def exploratory(self) -> tuple[str, ...]:
        """The options that were chosen after training, and so perhaps after looking at figures: metric, baseline."""
        several = {"metric": [one.name for one in self._prominent if one.tested], "baseline": self.ranked[1:]}
        chosen = {option: getattr(self.options, option) for option in several}
        return tuple(
            option
            for option, value in chosen.items()
            if value not in (None, getattr(self.planned, option)) and len(several[option]) > 1
        )

    @property
    def baseline(self) -> Variant | None:
        """The variant with which all others are compared; None: each with each."""
        asked = [one for one in self.variants if one.label == self.options.baseline]
        names = {asked[0].same_as or asked[0].label} if asked else set()
        return next((one for one in self.ranked if one.label in names), None)

    @cached_property
    def collapsed(self) -> Mapping[str, tuple[int, ...]]:
        """The seeds that diverged or whose figures fell far behind, by the label of their variant."""
        found: dict[str, set[int]] = {one.label: set(one.diverged) for one in self.variants}
        for metric in filter(lambda one: one.judges, self.tested):
            figures = {one.label: self.figures_of_all_seeds(one, metric) for one in self.variants}
            spreads = [robust_sd(list(own.values())) for own in figures.values() if len(own) > 1]
            noise = median(spreads) if spreads else 0.0
            for label, own in figures.items():
                found[label] |= collapsed(own, noise, metric.higher_is_better)
        return {label: tuple(sorted(seeds)) for label, seeds in found.items() if seeds}

    @property
    def unstable(self) -> tuple[Variant, ...]:
        """The models of which a seed diverged or collapsed."""
        return tuple(variant for variant in self.ranked if variant.label in self.collapsed)

    def figures(self, variant: Variant, name: str) -> dict[int, float]:
        """Return the figures of ``variant`` by seed; none where a run lacks its own, as a mean of the rest misleads."""
        found = {run.config.seed: self.figure(run, name) for run in variant.runs}
        present = {seed: float(figure) for seed, figure in found.items() if figure is not None}
        return present if len(present) == len(found) else {}

    def figures_of_all_seeds(self, variant: Variant, metric: type[Metric]) -> dict[int, float]:
        """Return the same with diverged seeds: these, and figures that are NaN, are infinite, on the worse side."""
        worst = -math.inf if metric.higher_is_better else math.inf
        found = self.figures(variant, metric.name)
        whole = {seed: worst if math.isnan(figure) else figure for seed, figure in found.items()}
        return whole | dict.fromkeys(variant.diverged, worst) if whole else {}

    def figure(self, run: Run, key: str) -> float | None:
        """Return a metric or cost of ``run``, None where its record lacks it."""
        if key in COSTS:
            return run.summary.get(key, run.summary["cost"].get(key))
        figures: Mapping[str, float] = run.summary["test"] if self.budget is None else self.budget.figures[run.path]
        return figures.get(key)


def compare_groups(
    runs: Sequence[Run], force: bool = False, *, left_out: Sequence[LeftOut] = (), options: Options | None = None
) -> list[Comparison]:
    """Group ``runs`` of any tasks and variants into one comparison for each task.

    The variants stand in the order in which ``runs`` name them first, in all tasks, and each has one color in all of them.
    ``force`` compares runs that differ in what makes it unfair, too; ``left_out`` take no part and are named.

    Raises:
        Refused: if a run has not finished, runs of one task are not on equal footing, or an option does not fit them.
    """
    require_finished(runs)
    options = options or Options()
    tasks = dict.fromkeys(run.config.task.name for run in runs)
    by_task: dict[str, list[Run]] = {task: [] for task in tasks}
    names = [variant_label(run.config.attention) for run in runs]
    for run in (run for one in dict.fromkeys(names) for run, name in zip(runs, names, strict=True) if name == one):
        by_task.setdefault(run.config.task.name, []).append(run)
    metrics = {task: _metrics(own) for task, own in by_task.items()}
    chosen = [task for task in by_task if options.metric is None or options.metric in metrics[task]]
    if not chosen:
        task = next(iter(by_task))
        what = registry.unknown(f"metric of task={task}", options.metric, metrics[task])
        raise Refused(f"--metric: {what}")
    for name, _ in options.margins:
        if not any(name in metrics[task] for task in chosen):
            raise Refused(f"--margin: {registry.unknown('metric', name, metrics[chosen[0]])}")
    skipped = [
        f"{_title(task).lower()} runs are left out: they have no {metrics[chosen[0]][str(options.metric)].title}"
        for task in by_task
        if task not in chosen
    ]
    comparisons = [
        # Runs left out of a task that is not compared would not be named otherwise.
        _comparison(
            by_task[task],
            force,
            tuple(one for one in left_out if one.task == task or one.task not in by_task),
            options,
            skipped,
        )
        for task in chosen
    ]
    colors = variant_colors(variant.label for one in comparisons for variant in one.variants)
    return [
        replace(one, variants=tuple(replace(variant, color=colors[variant.label]) for variant in one.variants))
        for one in comparisons
    ]


def _metrics(runs: Sequence[Run]) -> dict[str, type[Metric]]:
    """Return the metrics of runs of one task, and behind them the numbers of heads that any of them has."""
    return {**metrics_of(runs[0].config), **head_metrics(name for run in runs for name in run.summary["test"])}


def _title(task: str) -> str:
    return str(registry.load("tasks", task).title)


def _comparison(
    runs: Sequence[Run], force: bool, left_out: tuple[LeftOut, ...], options: Options, skipped: Sequence[str]
) -> Comparison:
    task, metrics = runs[0].config.task.name, _metrics(runs)
    notes = [*skipped, *check_equal_footing(runs, force, options.free(metrics), metrics)]
    if options.metric and "bytes" in metrics[options.metric].sums:
        notes += check_same_text(runs, options.metric)
    runs, told = once(runs)
    notes += told
    tuned: Mapping[Path, tuple[float, ...]] = {}
    if options.tune:
        runs, tuned, told = tune(runs, options, force, left_out)
        notes += told
    if options.equal == "parameters":
        runs, told = equal_parameters(runs, options.vary)
        notes += told
    budget = None
    if options.equal in ("flops", "time"):
        budget = at_budget(runs, options.equal)
        notes += budget.notes
    if "order_seed" in options.vary:
        check_seeds(runs)
    notes += [*scoring_notes(runs, metrics), *code_notes(runs)]
    variants, told = _variants(runs, options, left_out)
    notes += [*told, *_cautions(variants)]
    axes = axes_of([variant.runs[0].config for variant in variants], options.hidden)
    notes += crossing_note(axes)
    valid = [variant.label for variant in variants if variant.control_of is None]
    if options.baseline is not None and options.baseline not in valid:
        raise Refused(f"--baseline: {registry.unknown(f'variant of task={task}', options.baseline, valid)}")
    planned = {run.config.compare for run in runs}
    found = Comparison(task, _title(task), metrics, variants, tuple(notes), left_out, options, budget)
    return replace(
        found,
        looks=looks_before(trained_in(runs), task, found.seeds),
        tuned=tuned,
        planned=planned.pop() if len(planned) == 1 else CompareConfig(),
        axes=axes,
    )


def _variants(
    runs: Sequence[Run], options: Options, left_out: Sequence[LeftOut]
) -> tuple[tuple[Variant, ...], list[str]]:
    groups: dict[tuple[str, str], dict[int, Run]] = {}
    for run in runs:
        groups.setdefault((run.config.attention.name, model(run, options.vary)), {})[run.config.seed] = run
    firsts = [next(iter(seeds.values())) for seeds in groups.values()]
    names = labels(firsts, hidden=options.hidden)
    members = list(groups.values())
    own = [run.config.attention for run in firsts]
    named = [
        (one.name == name, one.score is not None and one.name == one.score.name)
        for one, name in zip(own, names, strict=True)
    ]
    standing, control = _identical([identity for _, identity in groups], members, named)
    variants, notes = [], []
    for index, seeds in enumerate(members):
        other = standing.get(index)
        variants.append(
            Variant(
                names[index],
                tuple(seeds[seed] for seed in sorted(seeds)),
                same_as=None if other is None else names[other],
                control_of=names[control[index]] if index in control else None,
                diverged=_diverged(firsts[index], seeds, left_out, options.vary),
            )
        )
        if other is not None and (more := sorted(seeds.keys() - members[other].keys())):
            left = ", ".join(map(str, more))
            notes.append(f"{names[index]} is the same model as {names[other]}, whose row leaves out its seeds {left}")
    return tuple(variants), notes


def _identical(
    models: Sequence[str], members: Sequence[Mapping[int, Run]], named: Sequence[tuple[bool, bool]]
) -> tuple[dict[int, int], dict[int, int]]:
    """Return by place which group stands for another, and of which one it is a control.

    The same model from the same seed has the same bits, so groups of one model that share a seed take part once: by the
    one with the most seeds, then by one that is ``named``: its label is its name, and that is its score's too. Groups of
    one model that share no seed are separate samples of it.
    """

    def rank(index: int) -> tuple[int, bool, bool, int]:
        is_label, is_score = named[index]
        return (-len(members[index]), not is_label, not is_score, index)

    own: list[int] = []
    standing: dict[int, int] = {}
    control: dict[int, int] = {}
    for index in sorted(range(len(models)), key=rank):
        same = [other for other in own if models[other] == models[index]]
        shared = [other for other in same if members[other].keys() & members[index].keys()]
        if shared:
            standing[index] = shared[0]
        else:
            control |= {index: same[0]} if same else {}
            own.append(index)
    return standing, control


def _diverged(
    first: Run, seeds: Mapping[int, Run], left_out: Sequence[LeftOut], vary: Sequence[str]
) -> tuple[int, ...]:
    identity, data = model_without_seed(first.config, vary), fingerprint(first)
    found = {
        one.config.seed
        for one in left_out
        if one.config is not None
        and one.diverged
        and one.data in (None, data)
        and model_without_seed(one.config, vary) == identity
    }
    return tuple(sorted(found.difference(seeds)))


def _cautions(variants: Sequence[Variant]) -> list[str]:
    ranked = [variant for variant in variants if variant.same_as is None]
    if len(ranked) == 1:
        return [f"one model, {ranked[0].label}: there is nothing to compare it with"]
    several = len({variant.seeds for variant in ranked}) > 1
    return ["the variants were trained from different seeds"] if several else []
