"""``attncompare bench NAME``: from a benchmark to the terminal, JSON, markdown and a page."""

import sys
from collections.abc import Callable
from pathlib import Path

from attncompare.bench.options import Options
from attncompare.bench.report import Report, as_data
from attncompare.errors import Refused
from attncompare.record import require_replaceable, write_json, write_text

Say = Callable[[str], None]


def run(benchmark: Callable[[Options, Say], Report], options: Options) -> None:
    """Run ``benchmark`` and show what it found as ``options`` say; meanwhile standard error tells what is measured.

    Raises:
        Refused: if a file cannot go where it should, or there is no such device.
    """
    for name, file in (("--json", options.json), ("--plot", options.plot)):
        if file is not None:
            _require_place(file, f"{name} {file}")
    report = benchmark(options, lambda what: print(what, file=sys.stderr, flush=True))
    _show(report, options)
    if options.json is not None:
        _write(options.json, "--json", lambda file: write_json(file, as_data(report)))
    if options.plot is not None:
        from attncompare.bench.page import report_page

        page = report_page(report)
        _write(options.plot, "--plot", lambda file: write_text(file, page))
        print(f"page: {options.plot}", file=sys.stderr)


def _require_place(file: Path, what: str) -> None:
    """Refuse before hours of measuring what could not be written after them."""
    if not file.parent.is_dir():
        raise Refused(f"{what}: there is no folder {file.parent}")
    require_replaceable(file, what)


def _show(report: Report, options: Options) -> None:
    if options.markdown:
        from attncompare.bench.markdown import as_markdown

        print(as_markdown(report), end="")
        return
    from rich.console import Console

    from attncompare.bench.terminal import print_report

    print_report(Console(), report)


def _write(file: Path, option: str, write: Callable[[Path], None]) -> None:
    try:
        write(file)
    except OSError as error:
        raise Refused(f"{option} {file}: cannot write there ({error.strerror})") from None
