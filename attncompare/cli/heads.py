"""The commands that look into the heads of a trained run: ``heads``, ``ablate``."""

import argparse
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attncompare.cli.arguments import add_command, add_json, add_run, path
from attncompare.cli.process import importing
from attncompare.errors import Refused
from attncompare.text import printable

if TYPE_CHECKING:
    from attncompare.inference import TrainedRun


def add_commands(commands: Any) -> None:
    """Add the commands to those of the console script."""
    what = "score what each head does: previous token, induction, sink, alignment, ..."
    more, several = "Each score has its source in docs/heads.md.", ("RUN", "RUN --sentences 200 --json heads.json")
    heads = add_command(commands, "heads", _heads, what, more, several)
    add_run(heads)
    many = "how many sentences of val (default: 100)"
    heads.add_argument("--sentences", type=int, default=100, metavar="N", help=many)
    add_json(heads)

    what = "turn off each head of a trained run, and then more and more of them, or hide words from all heads"
    examples = ("RUN --with mean --sentences 100", 'RUN --mask "Monday" --sentence "on Monday"')
    ablate = add_command(commands, "ablate", _ablate, what, "What is lost stands on a page, too.", examples)
    add_run(ablate)
    gives = "what a head that is off gives: zero, or the mean over val of what it gives (default: zero)"
    ablate.add_argument("--with", dest="replacement", choices=("zero", "mean"), default="zero", help=gives)
    ablate.add_argument("--split", choices=("val", "test"), default="test", help="default: test")
    rows = "how many rows of the split, and of val for means and orders (default: 200)"
    ablate.add_argument("--sentences", type=int, default=200, metavar="N", help=rows)
    page = "where to write the page (default: RUN/maps/ablate.html)"
    ablate.add_argument("--html", type=path, metavar="FILE", help=page)
    ablate.add_argument(
        "--mask", metavar="WORDS", help="hide these words of --sentence instead, with spaces between them"
    )
    ablate.add_argument("--sentence", metavar="TEXT", help="the sentence of --mask")
    add_json(ablate)


def _loaded(parsed: argparse.Namespace) -> "TrainedRun":
    with importing():
        from attncompare.attention.kernels.heap import keep_freed_memory
        from attncompare.inference import load, writable_page

    keep_freed_memory()  # the process is ours
    trained = load(parsed.run, parsed.checkpoint)
    if parsed.json is not None:
        writable_page(parsed.json, "--json", outside=trained.run.path, mark=b"")
    return trained


def _write(file: Path | None, values: dict[str, Any]) -> None:
    from attncompare.record import write_json

    if file is not None:
        try:
            write_json(file, values)
        except OSError as error:
            raise Refused(f"--json {file}: cannot write there ({error.strerror})") from None


def _heads(parsed: argparse.Namespace) -> None:
    trained = _loaded(parsed)
    from rich.console import Console

    from attncompare.inference.heads import find_heads, heads_data, heads_table

    found = find_heads(trained, parsed.sentences)
    Console().print(heads_table(found))
    _write(parsed.json, heads_data(trained, parsed.sentences, found))


def _ablate(parsed: argparse.Namespace) -> None:
    if (parsed.mask is None) != (parsed.sentence is None):
        raise Refused("--mask and --sentence go together: the words to hide, and the sentence that they stand in")
    if parsed.mask is not None:
        _hide(parsed)
        return
    from rich.console import Console

    trained = _loaded(parsed)
    from attncompare.config import variant_label
    from attncompare.inference import writable_page
    from attncompare.inference.ablate import ablate
    from attncompare.inference.ablate_page import ablation_page, ablation_table, headline
    from attncompare.record import PAGE_MARK, require_replaceable, write_text

    if parsed.html is not None:
        writable_page(parsed.html, "--html")
    page = parsed.html or trained.page("ablate.html")
    require_replaceable(page, f"--html {page}", PAGE_MARK)
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)  # it greets at every evaluation
    with Console(stderr=True).status("preparing data") as status:
        options = {name: getattr(parsed, name) for name in ("replacement", "split", "sentences")}
        found = ablate(trained, **options, tell=status.update)
    print(printable(headline(found)))
    Console().print(ablation_table(found))
    try:
        page.parent.mkdir(exist_ok=True)  # a run without probes has no folder for maps
        write_text(page, ablation_page(found, variant_label(trained.run.config.attention)))
    except OSError as error:
        raise Refused(f"--html {page}: cannot write there ({error.strerror})") from None
    _write(parsed.json, found.to_dict())
    print(f"page: {page}")


def _hide(parsed: argparse.Namespace) -> None:
    trained = _loaded(parsed)
    from dataclasses import asdict

    from rich.console import Console

    from attncompare.inference.words import hidden_table, hide_words

    found = hide_words(trained, parsed.sentence, parsed.mask)
    print(printable(f"hidden: {' '.join(found.hidden)}"))
    Console().print(hidden_table(found))
    print("loss: {:.4f} nats per token, {:.4f} with the words hidden".format(*found.loss))
    if found.written is not None:
        print(printable(f"translation: {found.written}"))
        print(printable(f"with the words hidden: {found.written_after}"))
    _write(parsed.json, asdict(found))
