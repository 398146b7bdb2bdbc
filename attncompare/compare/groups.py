"""Runs grouped for a comparison: first by task, then by variant; the seeds of a variant stand together (C4, C5)."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from attncompare.compare.checks import check_equal_footing, flatten, require_finished
from attncompare.metric_names import TASK_TITLES
from attncompare.tracking.palette import series_color
from attncompare.tracking.record import Run

_NO_LABEL = ("seed", "name", "notes", "runs", "tags")


@dataclass(frozen=True)
class Variant:
    """One row of a comparison: the runs of one variant, one for each seed, by seed.

    ``same_as`` is the label of the variant that stands for this model, where this is the same model under another name.
    """

    label: str
    runs: tuple[Run, ...]
    color: str
    same_as: str | None

    @property
    def title(self) -> str:
        """The label, with the identical model where there is one: "causal = scaled"."""
        return self.label if self.same_as is None else f"{self.label} = {self.same_as}"

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds, ascending."""
        return tuple(run.config.seed for run in self.runs)


@dataclass(frozen=True)
class Comparison:
    """All variants of one task; ``notes`` say what a reader must know before believing a difference."""

    task: str
    variants: tuple[Variant, ...]
    notes: tuple[str, ...] = field(default=())


def compare_groups(runs: Sequence[Run], force: bool = False) -> list[Comparison]:
    """Group ``runs`` into one comparison for each task.

    Args:
        runs: runs of any tasks and variants.
        force: compare runs that differ in more than attention and seed.

    Raises:
        Refused: if a run has not finished, or runs of one task are not on equal footing.
    """
    require_finished(runs)
    by_task: dict[str, list[Run]] = {}
    for run in runs:
        by_task.setdefault(run.config.task.name, []).append(run)
    return [_comparison(task, by_task[task], force) for task in TASK_TITLES if task in by_task]


def model_without_seed(run: Run) -> str:
    """Return what two runs share exactly if they train the same model from different seeds, or from the same."""
    return run.config.model_copy(update={"seed": 0}).model_identity()


def _comparison(task: str, runs: list[Run], force: bool) -> Comparison:
    notes = check_equal_footing(runs, force)
    groups: dict[tuple[str, str], dict[int, Run]] = {}
    for run in runs:
        seeds = groups.setdefault((run.config.attention.name, model_without_seed(run)), {})
        if run.config.seed in seeds:
            first = seeds[run.config.seed]
            notes.append(f"{run.path} has the config and seed of {first.path} and is counted once")
        else:
            seeds[run.config.seed] = run
    labels = _labels([next(iter(seeds.values())) for seeds in groups.values()])
    variants: list[Variant] = []
    plain = _plainest(list(groups), [next(iter(seeds.values())) for seeds in groups.values()])
    for index, ((_, identity), seeds) in enumerate(groups.items()):
        same_as = None if plain[identity] == index else labels[plain[identity]]
        ordered = tuple(seeds[seed] for seed in sorted(seeds))
        variants.append(Variant(labels[index], ordered, series_color(index), same_as))
    if len({variant.seeds for variant in variants}) > 1:
        notes.append("the variants were trained from different seeds")
    if all(len(variant.seeds) == 1 for variant in variants) and len(variants) > 1:
        notes.append("one seed: small differences may be chance")
    return Comparison(task, tuple(variants), tuple(notes))


def _plainest(keys: list[tuple[str, str]], runs: list[Run]) -> dict[str, int]:
    """Return, for each model, the place of the variant that stands for it: one named like its score, else the first."""
    chosen: dict[str, int] = {}
    for index, (name, identity) in enumerate(keys):
        if identity not in chosen or (name == runs[index].config.attention.score and keys[chosen[identity]][0] != name):
            chosen[identity] = index
    return chosen


def _labels(runs: list[Run]) -> list[str]:
    """Return a different label for each: the variant's name, and where several share one, what sets them apart."""
    flats = [flatten(run.config.to_dict()) for run in runs]
    labels = []
    for flat in flats:
        alike = [other for other in flats if other["attention.name"] == flat["attention.name"]]
        apart = [key for key in flat if key not in _NO_LABEL and not key.startswith("tracking.")]
        apart = [key for key in apart if any(other.get(key) != flat[key] for other in alike)]
        marks = [f"{key.removeprefix('attention.')}={flat[key]}" for key in apart]
        labels.append(" ".join([flat["attention.name"], *marks]))
    return labels
