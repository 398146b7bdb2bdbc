"""``attncompare translate``: a line in, a line out."""

import sys
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

from attncompare.errors import Refused
from attncompare.inference.lines import one_line, sentence_batches
from attncompare.text import counted
from attncompare.record import require_replaceable, write_text
from attncompare.maps.maps import ProbeMaps
from attncompare.maps.page import MapSeries, maps_page
from attncompare.inference.trained import TrainedRun, Translated, load

MOST_MAPS = 20
"""Sentences whose maps a page shows."""


def translate(
    path: Path,
    file: Path | None,
    *,
    beam: int,
    n_best: int | None,
    length_penalty: float,
    checkpoint: str | None,
    maps: Path | None,
) -> None:
    """Print the translation of each line of ``file``, or of standard input; an empty line for an empty line.

    Sentences over the run's longest length are cut, and counted on standard error at the end.

    Args:
        path: the folder of the run.
        file: where the sentences stand; None: standard input.
        beam: width of the search.
        n_best: print so many translations of each, with the sentence's number from 0, the score and tabs between; None:
            the best one alone.
        length_penalty: see :meth:`attncompare.inference.trained.TrainedRun.translate`.
        checkpoint: which weights; None: those that the run was tested with.
        maps: where a page with the attention maps of the first sentences goes; None: nowhere.

    Raises:
        Refused: if the run does not translate, a line is no text, or an argument cannot be.
    """
    batches = sentence_batches(file)
    first = next(batches, []) if file is not None else []  # a file is checked before anything is loaded
    trained = load(path, checkpoint)
    trained.require_translator()
    if maps is not None:
        require_outside(maps, trained, "--maps")
    wanted = 1 if n_best is None else n_best
    shown: list[ProbeMaps] = []
    total = cut = 0
    for sentences in chain([first], batches):
        answers = trained.translate(sentences, beam=beam, n_best=wanted, length_penalty=length_penalty)
        for line in _lines(answers, total, numbered=n_best is not None):
            print(line)
        sys.stdout.flush()
        total, cut = total + len(answers), cut + sum(answer.cut for answer in answers)
        if maps is not None:
            shown += _maps(trained, answers, MOST_MAPS - len(shown))
    if cut:
        longest = trained.run.config.task.max_length - 1
        print(f"warning: {counted(cut, 'sentence')} of {total} cut to the first {longest} tokens", file=sys.stderr)
    if maps is not None:
        _write_page(trained, shown, total, maps)


def require_outside(page: Path, trained: TrainedRun, option: str) -> None:
    """Refuse to write a file into the run, which is sealed, or where it cannot be written."""
    if page.resolve().is_relative_to(trained.run.path.resolve()):
        raise Refused(f"{option} {page}: inside of the run's folder, which is sealed; give a file elsewhere")
    if not page.parent.is_dir():
        raise Refused(f"{option} {page}: there is no folder {page.parent}")
    require_replaceable(page, f"{option} {page}")


def _lines(answers: Iterable[Translated], before: int, *, numbered: bool) -> Iterator[str]:
    for index, answer in enumerate(answers, start=before):
        if not numbered:
            yield one_line(answer.text)
            continue
        for one in answer.hypotheses:
            yield f"{index}\t{one.score:.6f}\t{one_line(one.text)}"


def _maps(trained: TrainedRun, answers: list[Translated], room: int) -> list[ProbeMaps]:
    full = [answer for answer in answers if answer.source_ids][:room]
    start = MOST_MAPS - room
    return [trained.attention_of(answer, start + number) for number, answer in enumerate(full)]


def _write_page(trained: TrainedRun, shown: list[ProbeMaps], total: int, page: Path) -> None:
    if not shown:
        print(f"--maps {page}: no sentence, no page", file=sys.stderr)
        return
    series = MapSeries(trained.run.config.attention.name, [(trained.step, shown)])
    try:
        write_text(page, maps_page(shown[0].text, [series]))
    except OSError as error:
        raise Refused(f"--maps {page}: cannot write there ({error.strerror})") from None
    of = f"the first {len(shown)} of {total}" if len(shown) < total else f"all {total}"
    print(f"page: {page} ({of} sentences; at most {MOST_MAPS} are shown)", file=sys.stderr)
