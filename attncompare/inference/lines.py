"""Sentences from a file or standard input, one a line, checked as bytes; answers that stay in their lines; maps as a page."""

import io
import stat
import sys
import unicodedata
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import IO

from attncompare.config import variant_label
from attncompare.data.reading import opened, text_lines
from attncompare.errors import Refused
from attncompare.inference.trained import TrainedRun
from attncompare.maps import MapSeries, ProbeMaps, maps_page
from attncompare.record import PAGE_MARK, require_replaceable, write_text
from attncompare.text import counted, printable, shortly

MOST_MAPS = 20
"""Sentences whose maps a page shows."""
_LONGEST = 2**20  # bytes of a line
_MOST_WORDS = 8  # in a message
_BATCH = 512  # lines; enough of each length for full batches


def sentence_batches(file: Path | None) -> Iterator[list[str]]:
    """Return the lines of ``file``, packed by gzip or not, None: of standard input, without their ends, some hundred at a time.

    A file is read and checked as a whole first. From a terminal each line comes at once.
    Raises Refused if the file cannot be read, or what is read is refused by :func:`text_lines`, as in training data, or a
    line is longer than a mebibyte.
    """
    if file is None:
        typed: IO[bytes] = sys.stdin.buffer if sys.stdin is not None else io.BytesIO()
        return _batches(typed, "standard input", 1 if typed.isatty() else _BATCH)
    try:
        stream = opened(file)
        if stat.S_ISREG(file.stat().st_mode):  # a pipe can be read only once
            for _ in _batches(stream, str(file), _BATCH):
                pass
            stream.seek(0)
    except OSError as error:
        raise Refused(f"{file}: cannot be read ({error.strerror})") from None
    return _batches(stream, str(file), _BATCH)


def translate_lines(
    trained: TrainedRun,
    batches: Iterator[list[str]],
    *,
    beam: int,
    n_best: int | None,
    length_penalty: float,
    maps: Path | None,
) -> None:
    """Print the translation of each line; sentences that are too long are cut, and counted on standard error.

    With ``n_best`` so many translations of each are printed: number of the line from 0, score, text, with tabs between.
    ``maps`` is where a page with the attention maps of the first sentences goes.
    """
    shown: list[ProbeMaps] = []
    unseen: dict[str, None] = {}
    total = cut = 0
    for sentences in chain([[]], batches):  # no sentences first: bad options are refused before a line is read
        for one in trained.translate(
            sentences, beam=beam, n_best=1 if n_best is None else n_best, length_penalty=length_penalty
        ):
            for best in one.hypotheses:
                print(one_line(best.text) if n_best is None else f"{total}\t{best.score:.6f}\t{one_line(best.text)}")
            if maps is not None and one.source_ids and len(shown) < MOST_MAPS:
                shown.append(trained.attention_of(one, len(shown)))
            total, cut = total + 1, cut + one.cut
        unseen |= dict.fromkeys(trained.unseen("\n".join(sentences)))
        sys.stdout.flush()
    say_unseen(list(unseen))
    if cut:
        longest = trained.run.config.task.max_length - 1
        print(f"warning: {counted(cut, 'sentence')} of {total} cut to the first {longest} tokens", file=sys.stderr)
    if maps is not None and not shown:
        print(f"--maps {maps}: no sentence, no page", file=sys.stderr)
    elif maps is not None:
        series = MapSeries(variant_label(trained.run.config.attention), [(trained.step, shown)])
        write_maps([series], maps, "--maps", shown[0].text)
        of = f"the first {len(shown)} of {total}" if len(shown) < total else f"all {total}"
        print(f"page: {maps} ({of} sentences; at most {MOST_MAPS} are shown)", file=sys.stderr)


def say_unseen(words: Sequence[str]) -> None:
    """Say on standard error which ``words`` are strange to a model (:meth:`TrainedRun.unseen`), of many the first."""
    if words:
        more = f" and {len(words) - _MOST_WORDS} more" if len(words) > _MOST_WORDS else ""
        named = ", ".join(printable(shortly(word, 40)) for word in words[:_MOST_WORDS])
        print(f"note: not seen in training, or read as unknown: {named}{more}", file=sys.stderr)


def write_maps(
    series: Sequence[MapSeries], page: Path, option: str, title: str, *, together: bool = False, note: str = ""
) -> None:
    """Write a page of ``series`` (:func:`attncompare.maps.maps_page`) to ``page``, which ``option`` asked for."""
    try:
        page.parent.mkdir(exist_ok=True)  # a run without probes has no folder for maps
        write_text(page, maps_page(shortly(title, 100), list(series), together=together, note=note))
    except OSError as error:
        raise Refused(f"{option} {page}: cannot write there ({error.strerror})") from None


def writable_page(page: Path, option: str, outside: Path | None = None, mark: bytes = PAGE_MARK) -> Path:
    """Return ``page`` if a file can be written there, and not into the sealed run ``outside``.

    A file that is there may be replaced if it begins with ``mark``. Raises Refused: names the option and what is in the way."""
    if outside is not None and page.resolve().is_relative_to(outside.resolve()):
        raise Refused(f"{option} {page}: inside of the run's folder, which is sealed; give a file elsewhere")
    if not page.parent.is_dir():
        raise Refused(f"{option} {page}: there is no folder {page.parent}")
    require_replaceable(page, f"{option} {page}", mark)
    return page


def one_line(text: str) -> str:
    """Return ``text`` with a space for each tab, line end or other control character."""
    return "".join(" " if unicodedata.category(letter) in ("Cc", "Zl", "Zp") else letter for letter in text)


def harmless(text: str) -> str:
    """Return ``text`` with its lines and tabs, and a question mark for each other control character."""
    return "".join("?" if unicodedata.category(char) == "Cc" and char not in "\n\t" else char for char in text)


def _batches(stream: IO[bytes], name: str, size: int) -> Iterator[list[str]]:
    lines = (line for _, line in text_lines(stream, name, _LONGEST))
    while batch := list(islice(lines, size)):
        yield batch
