"""``attncompare attend``: the same sentences as several trained runs read them, side by side."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from attncompare.compare import gather, labels
from attncompare.compare.gathering import left_out_note
from attncompare.compare.identity import model
from attncompare.config import variant_label
from attncompare.errors import Refused
from attncompare.inference.trained import TrainedRun, page_in
from attncompare.maps import MapSeries, ProbeMaps
from attncompare.record import Run, is_run
from attncompare.text import counted


@dataclass(frozen=True)
class Attended:
    """Maps of some sentences by several runs.

    Attributes:
        runs: those that were asked, in the order given.
        series: the maps of each, under a label of its own.
        notes: in sentences, what was left out and why.
        unseen: the words of the sentences that are strange to a run (:meth:`TrainedRun.unseen`), each once.
    """

    runs: tuple[Run, ...]
    series: tuple[MapSeries, ...]
    notes: tuple[str, ...]
    unseen: tuple[str, ...]

    def sentence(self, number: int) -> list[tuple[str, ProbeMaps]]:
        """Return what each run makes of a sentence, from 0, with the run's label; of one run without."""
        one = len(self.series) == 1
        return [("" if one else series.label, series.steps[0][1][number]) for series in self.series]


def attend_runs(paths: Sequence[Path], sentences: Sequence[str], checkpoint: str | None = None) -> Attended:
    """Return the maps of ``sentences`` (:meth:`TrainedRun.attention`) of every run among ``paths``.

    Of a folder that holds runs the first seed of each model is asked. Runs of another task than the first that answers, and
    those that cannot read the sentences, are left out and named.

    Raises:
        Refused: if a path holds no run, or none of the runs can be asked; of a single run, why it cannot.
    """
    runs, notes = _runs(paths)
    asked: list[tuple[TrainedRun, list[ProbeMaps]]] = []
    refused: list[str] = []
    for run in runs:
        try:
            first = asked[0][0].run.config.task.name if asked else run.config.task.name
            if run.config.task.name != first:
                raise Refused(f"{run.path}: a run of task={run.config.task.name}, beside one of task={first}")
            trained = TrainedRun(run, checkpoint)
            maps = [replace(trained.attention(text), probe=number) for number, text in enumerate(sentences)]
        except Refused as error:
            if len(runs) == 1:
                raise
            named = str(error) if str(run.path) in str(error) else f"{run.path}: {error}"
            refused.append(named)
        else:
            asked.append((trained, maps))
    if not asked:
        raise Refused(f"none of the {counted(len(runs), 'run')} can be asked: {'; '.join(refused)}")
    if refused:
        notes.append(f"{counted(len(refused), 'run')} left out: {'; '.join(refused)}")
    own = tuple(trained.run for trained, _ in asked)
    series = [
        MapSeries(label, [(trained.step, maps)]) for label, (trained, maps) in zip(_labels(own), asked, strict=True)
    ]
    unseen = dict.fromkeys(word for trained, _ in asked for text in sentences for word in trained.unseen(text))
    return Attended(own, tuple(series), tuple(notes), tuple(unseen))


def page_beside(paths: Sequence[Path]) -> Path:
    """Return where a page goes by default: beside the maps of the one run, into the one folder of runs, else here.

    Raises:
        Refused: if the run's folder for maps is a link that may lead out of it.
    """
    if len(paths) > 1:
        return Path("attend.html")
    return page_in(paths[0], "attend.html") if is_run(paths[0]) else paths[0] / "attend.html"


def _runs(paths: Sequence[Path]) -> tuple[list[Run], list[str]]:
    runs: dict[Path, Run] = {}
    notes = []
    for path in paths:
        if is_run(path):
            found = [Run.open(path)]
        else:
            gathered = gather([path])
            if gathered.left_out:
                notes.append(left_out_note(gathered.left_out))
            firsts = {model(run): run for run in reversed(gathered.runs)}
            found = [run for run in gathered.runs if run is firsts[model(run)]]
            if more := len(gathered.runs) - len(found):
                notes.append(f"{path}: one seed of each model is shown; {counted(more, 'run')} more there")
        runs |= {run.path.resolve(): run for run in found if run.path.resolve() not in runs}
    return list(runs.values()), notes


def _labels(runs: Sequence[Run]) -> list[str]:
    """Return a label for each run: what a comparison would call it, and its seed or folder where that is not enough."""
    found = labels(runs) if len(runs) > 1 else [variant_label(run.config.attention) for run in runs]
    for more in (lambda run: f"seed={run.config.seed}", lambda run: run.path.name):
        again = Counter(found)
        found = [f"{label} {more(run)}" if again[label] > 1 else label for label, run in zip(found, runs, strict=True)]
    return found
