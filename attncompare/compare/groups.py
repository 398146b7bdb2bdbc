"""Runs grouped for a comparison: first by task, then by variant; the seeds of a variant stand together (C4, C5)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from attncompare.compare.budgets import Budget, at_budget
from attncompare.compare.checks import check_equal_footing, check_same_text, require_finished
from attncompare.compare.code_versions import code_notes
from attncompare.compare.equal import equal_parameters
from attncompare.compare.gathering import LeftOut
from attncompare.compare.identity import model, once
from attncompare.compare.labels import labels
from attncompare.compare.options import TOKENIZER, Options
from attncompare.compare.tune import tune
from attncompare.text import COSTS, METRICS, TASK_TITLES, TOKEN_FREE
from attncompare.wandb_logging.offline_run import absent_notes
from attncompare.maps.palette import series_color
from attncompare.record import Run

ONE_SEED = "one seed decides nothing: train more with seed=1,2,3,4,5,6"


@dataclass(frozen=True)
class Variant:
    """One row of a comparison: the runs of one variant, one for each seed, by seed.

    Attributes:
        label: what it is called.
        runs: by seed.
        color: its color in pictures.
        same_as: the variant that stands for this model, where these are the same runs under another name.
        control_of: the variant that trains the same model from other seeds: a fair comparison cannot tell both apart.
    """

    label: str
    runs: tuple[Run, ...]
    color: str
    same_as: str | None
    control_of: str | None = None

    @property
    def title(self) -> str:
        """The label, with the identical model where there is one: "causal = scaled"."""
        return self.label if self.same_as is None else f"{self.label} = {self.same_as}"

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds, ascending."""
        return tuple(run.config.seed for run in self.runs)


@dataclass(frozen=True, eq=False)
class Comparison:
    """All variants of one task.

    Attributes:
        task: its name.
        variants: the rows.
        notes: what a reader must know before believing a difference.
        left_out: the runs that were found beside them and could not take part.
        options: what was asked for.
        budget: the training budget at which figures of val are compared; None: final figures of test.
    """

    task: str
    variants: tuple[Variant, ...]
    notes: tuple[str, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    options: Options = field(default_factory=Options)
    budget: Budget | None = None

    @property
    def tested(self) -> tuple[str, ...]:
        """The metrics in which variants are tested against each other, the most important first."""
        return self.options.metrics(self.task)

    @property
    def one_tokenizer(self) -> bool:
        """Whether all variants cut text into the same tokens, so that figures per token stand beside each other."""
        return len({variant.runs[0].config.data.tokenizer for variant in self.variants}) == 1

    def comparable(self, keys: Sequence[str]) -> tuple[str, ...]:
        """Return those metrics of ``keys`` that mean the same for all variants."""
        return tuple(key for key in keys if self.one_tokenizer or key in TOKEN_FREE)

    @property
    def ranked(self) -> tuple[Variant, ...]:
        """Each model once, and its controls."""
        return tuple(variant for variant in self.variants if variant.same_as is None)

    def figure(self, run: Run, key: str) -> float | None:
        """Return a metric or cost of ``run``, None where its record lacks it."""
        if key in COSTS:
            return run.summary.get(key, run.summary["cost"].get(key))
        figures: Mapping[str, float] = run.summary["test"] if self.budget is None else self.budget.figures[run.path]
        return figures.get(key)


def compare_groups(
    runs: Sequence[Run],
    force: bool = False,
    *,
    left_out: Sequence[LeftOut] = (),
    options: Options | None = None,
) -> list[Comparison]:
    """Group ``runs`` into one comparison for each task.

    Args:
        runs: runs of any tasks and variants.
        force: compare runs that differ in more than attention and seed.
        left_out: runs that take no part, to be named.
        options: how to compare.

    Raises:
        Refused: if a run has not finished, runs of one task are not on equal footing, or an option does not fit them.
    """
    require_finished(runs)
    options = options or Options()
    by_task: dict[str, list[Run]] = {}
    for run in runs:
        by_task.setdefault(run.config.task.name, []).append(run)
    chosen = [task for task in TASK_TITLES if task in by_task and options.fits(task)]
    if not chosen:
        options.metrics(next(task for task in TASK_TITLES if task in by_task))
    skipped = [
        f"{TASK_TITLES[task].lower()} runs are left out: they have no {METRICS[options.metric].title}"
        for task in TASK_TITLES
        if options.metric in METRICS and task in by_task and task not in chosen
    ]
    return [
        _comparison(task, by_task[task], force, _of_task(left_out, task, by_task), options, skipped) for task in chosen
    ]


def _of_task(left_out: Sequence[LeftOut], task: str, tasks: Mapping[str, list[Run]]) -> tuple[LeftOut, ...]:
    """Return those of ``task``, and those of no task that is compared: nobody else would name them."""
    return tuple(one for one in left_out if one.task == task or one.task not in tasks)


def _comparison(
    task: str,
    runs: Sequence[Run],
    force: bool,
    left_out: tuple[LeftOut, ...],
    options: Options,
    skipped: Sequence[str],
) -> Comparison:
    notes = [*skipped, *check_equal_footing(runs, force, options.free()), *absent_notes(runs)]
    if options.metric == "bits_per_byte":
        notes += check_same_text(runs)
    runs, counted = once(runs)
    notes += counted
    if options.tune:
        runs, told = tune(runs, options.tune, force, left_out)
        notes += told
    if options.equal == "parameters":
        runs, told = equal_parameters(runs)
        notes += told
    budget = None
    if options.equal in ("flops", "time"):
        budget = at_budget(runs, options.equal)
        notes += budget.notes
    notes += code_notes(runs)
    variants, told = _variants(runs, options)
    return Comparison(task, variants, (*notes, *told, *_cautions(variants)), left_out, options, budget)


def _variants(runs: Sequence[Run], options: Options) -> tuple[tuple[Variant, ...], list[str]]:
    groups: dict[tuple[str, str], dict[int, Run]] = {}
    for run in runs:
        groups.setdefault((run.config.attention.name, model(run)), {})[run.config.seed] = run
    firsts = [next(iter(seeds.values())) for seeds in groups.values()]
    named = labels(firsts, hidden=options.picked(), shown=(TOKENIZER,))
    standing, control = _standing([(identity, seeds) for (_, identity), seeds in groups.items()], firsts)
    variants, notes = [], []
    for index, seeds in enumerate(groups.values()):
        other = standing.get(index)
        same_as, control_of = (None if one is None else named[one] for one in (other, control.get(index)))
        ordered = tuple(seeds[seed] for seed in sorted(seeds))
        variants.append(Variant(named[index], ordered, series_color(index), same_as, control_of))
        more = [] if other is None else sorted(seeds.keys() - list(groups.values())[other].keys())
        if other is not None and more:
            left = ", ".join(map(str, more))
            notes.append(f"{named[index]} is the same model as {named[other]}, whose row leaves out its seeds {left}")
    return tuple(variants), notes


def _standing(
    groups: Sequence[tuple[str, dict[int, Run]]], runs: Sequence[Run]
) -> tuple[dict[int, int], dict[int, int]]:
    """Return by place which group stands for another, and of which one it is a control.

    The same model from the same seed has the same bits (C10), so groups of one model that share a seed take part once:
    by the one with the most seeds, then by the one that is named like its score. Groups of one model that share no seed
    are separate samples of it.
    """

    def rank(index: int) -> tuple[int, bool, int]:
        attention = runs[index].config.attention
        return (-len(groups[index][1]), attention.name != attention.score, index)

    own: list[int] = []
    standing: dict[int, int] = {}
    control: dict[int, int] = {}
    for index in sorted(range(len(groups)), key=rank):
        identity, seeds = groups[index]
        same = [other for other in own if groups[other][0] == identity]
        shared = [other for other in same if groups[other][1].keys() & seeds.keys()]
        if shared:
            standing[index] = shared[0]
            continue
        if same:
            control[index] = same[0]
        own.append(index)
    return standing, control


def _cautions(variants: Sequence[Variant]) -> list[str]:
    ranked = [variant for variant in variants if variant.same_as is None]
    if len(ranked) == 1:
        return [f"one model, {ranked[0].label}: there is nothing to compare it with"]
    notes = []
    if len({variant.seeds for variant in ranked}) > 1:
        notes.append("the variants were trained from different seeds")
    if all(len(variant.seeds) == 1 for variant in ranked):
        notes.append(ONE_SEED)
    return notes
