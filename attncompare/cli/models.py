"""The commands that ask a trained run for more: its maps, its answers in words or labels, its figures on other data."""

import argparse
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.cells import set_cell_size

from attncompare.cli.arguments import add_checkpoint, add_command, add_data, add_json, add_run, add_runs, path
from attncompare.cli.process import importing
from attncompare.errors import Refused
from attncompare.text import printable

if TYPE_CHECKING:
    from attncompare.inference import Likely, TrainedRun


def add_commands(commands: Any) -> None:
    """Add the commands to those of the console script."""
    _add_attend(commands)
    _add_translate(commands)
    _add_transcribe(commands)
    _add_generate(commands)
    _add_classify(commands)
    _add_fill(commands)
    _add_evaluate(commands)


def _add_attend(commands: Any) -> None:
    what, more = (
        "show the attention maps of trained runs for a new sentence",
        "Several runs stand side by side, on a page, too.",
    )
    examples = (
        'RUN "three days ago" --layer 1 --head 2',
        'SWEEP "three days ago" --sentence "on Monday" --html maps.html',
    )
    attend = add_command(commands, "attend", _attend, what, more, examples)
    add_runs(attend)
    attend.add_argument("sentence", help="a source sentence, or a text; for images and sound a file")
    more = "a further one, shown below; may be repeated"
    attend.add_argument("--sentence", dest="more", action="append", default=[], metavar="TEXT", help=more)
    add_checkpoint(attend)
    attend.add_argument("--layer", type=int, metavar="N", help="layer, from 1 (default: the last)")
    attend.add_argument("--head", type=int, metavar="N", help="head, from 1 (default: all)")
    attend.add_argument("--mean", action="store_true", help="print the mean over heads instead")
    whole = "print maps of more than 60 tokens whole, not only the part with the largest weights"
    attend.add_argument("--all", action="store_true", help=whole)
    page = "where to write the page (default: RUN/maps/attend.html, SWEEP/attend.html, for several attend.html)"
    attend.add_argument("--html", type=path, metavar="FILE", help=page)


def _add_translate(commands: Any) -> None:
    what = "translate sentences, one a line, from a file or standard input to standard output"
    more = "An empty line stays an empty line."
    examples = ("RUN sentences.txt > translations.txt", "RUN sentences.txt --n-best 3 --maps maps.html")
    translate = add_command(commands, "translate", _translate, what, more, examples)
    add_run(translate)
    translate.add_argument("file", nargs="?", type=path, metavar="FILE", help="default: standard input")
    translate.add_argument(
        "--beam", type=int, default=5, metavar="N", help="width of the search; 1: greedy (default: 5)"
    )
    several = "print N translations of each: number of the sentence, score, text, with tabs between"
    translate.add_argument("--n-best", type=int, metavar="N", help=several)
    penalty = "alpha of ((5 + length) / 6)^alpha; 0: none (default: 1)"
    translate.add_argument("--length-penalty", type=float, default=1.0, metavar="A", help=penalty)
    maps = "write a page with the attention maps of the first 20 sentences"
    translate.add_argument("--maps", type=path, metavar="OUT.html", help=maps)


def _add_transcribe(commands: Any) -> None:
    what, more = (
        "write what is said in wav files, one line for each",
        "With several files their names stand before, and a tab.",
    )
    examples = ("RUN speech.wav", "RUN one.wav two.wav --beam 1 > texts.tsv")
    transcribe = add_command(commands, "transcribe", _transcribe, what, more, examples)
    add_run(transcribe)
    files = "of any rate and number of channels"
    transcribe.add_argument("files", nargs="+", type=path, metavar="FILE.wav", help=files)
    transcribe.add_argument(
        "--beam", type=int, default=5, metavar="N", help="width of the search; 1: greedy (default: 5)"
    )
    penalty = "alpha of ((5 + length) / 6)^alpha; 0: none (default: 1)"
    transcribe.add_argument("--length-penalty", type=float, default=1.0, metavar="A", help=penalty)


def _add_generate(commands: Any) -> None:
    what, more = "let a trained language model continue a text", "The same seed gives the same text."
    examples = ('RUN --prompt "Return the " --tokens 50', "RUN --temperature 0.7 --top-p 0.9 --samples 3")
    generate = add_command(commands, "generate", _generate, what, more, examples)
    add_run(generate)
    generate.add_argument("--prompt", default="", metavar="TEXT", help="the beginning of the text (default: none)")
    generate.add_argument("--tokens", type=int, default=100, metavar="N", help="how many are added (default: 100)")
    heat = "below 1: likely tokens more often; 0: always the likeliest (default: 1)"
    generate.add_argument("--temperature", type=float, default=1.0, metavar="X", help=heat)
    generate.add_argument("--top-k", type=int, metavar="K", help="draw from the K likeliest tokens alone")
    nucleus = "draw from the fewest likeliest tokens with probability P together"
    generate.add_argument("--top-p", type=float, metavar="P", help=nucleus)
    generate.add_argument("--seed", type=int, default=0, metavar="N", help="of the draws (default: 0)")
    generate.add_argument("--samples", type=int, default=1, metavar="N", help="how many texts (default: 1)")
    shown = "print each token with what the model took for likely there, before temperature, k and p"
    generate.add_argument("--show-probabilities", action="store_true", help=shown)


def _add_classify(commands: Any) -> None:
    what = "show the labels of a text, or of an image in a file, with their probabilities"
    more, examples = "The likeliest label comes first.", ('RUN "a text"', "RUN digit.png")
    classify = add_command(commands, "classify", _classify, what, more, examples)
    add_run(classify)
    classify.add_argument(
        "given", metavar="TEXT", help="a text; for images a file: PNG, or csv of numbers from 0 to 255"
    )


def _add_fill(commands: Any) -> None:
    what, more = "show the likeliest words at the masks of a text", "Each mask is one token."
    examples = ('RUN "Return the [MASK] of the list"', 'RUN "Return the [MASK] of [MASK]" --top 3 --json words.json')
    fill = add_command(commands, "fill", _fill, what, more, examples)
    add_run(fill)
    fill.add_argument("text", help="a text with [MASK] in place of each token to be found")
    fill.add_argument("--top", type=int, default=5, metavar="N", help="how many for each mask (default: 5)")
    add_json(fill)


def _add_evaluate(commands: Any) -> None:
    what = "evaluate a trained run on other data, or with other weights"
    more = "Nothing is written into the run."
    examples = ("RUN --split val --checkpoint last", "RUN --data path=FOLDER --json figures.json")
    evaluate = add_command(commands, "evaluate", _evaluate, what, more, examples)
    add_run(evaluate)
    add_data(evaluate)
    evaluate.add_argument("--split", choices=("val", "test"), default="test", help="default: test")
    beam = "width of the search for translations (default: as the run was tested)"
    evaluate.add_argument("--beam", type=int, metavar="N", help=beam)
    stride = "tokens from one window of a text to the next, each scoring what those before left (default: the run's)"
    evaluate.add_argument("--stride", type=int, metavar="N", help=stride)
    longer = "longest sequence, also longer than in training (default: the run's task.max_length)"
    evaluate.add_argument("--max-length", type=int, metavar="N", help=longer)
    add_json(evaluate)


def _load(parsed: argparse.Namespace) -> "TrainedRun":
    with importing():
        from attncompare.attention.kernels.heap import keep_freed_memory
        from attncompare.inference import load

    keep_freed_memory()  # the process is ours
    return load(parsed.run, parsed.checkpoint)


def _attend(parsed: argparse.Namespace) -> None:
    from rich.console import Console

    with importing():
        from attncompare.attention.kernels.heap import keep_freed_memory
        from attncompare.inference import attend_runs, page_beside, say_unseen, writable_page, write_maps
        from attncompare.maps import print_maps
        from attncompare.record import PAGE_MARK, require_replaceable

    if parsed.mean and parsed.head is not None:
        raise Refused(f"--mean --head {parsed.head}: the mean is over all heads; give one of the two")
    if parsed.html is not None:
        writable_page(parsed.html, "--html")
    keep_freed_memory()  # the process is ours
    page = parsed.html or page_beside(parsed.runs)
    require_replaceable(page, f"--html {page}", PAGE_MARK)
    sentences = [parsed.sentence, *parsed.more]
    found = attend_runs(parsed.runs, sentences, parsed.checkpoint)
    say_unseen(found.unseen)
    for number in range(len(sentences)):
        print_maps(Console(), found.sentence(number), parsed.layer, parsed.head, parsed.all, parsed.mean)
    told = " ".join(f"{note}." for note in found.notes)
    write_maps(found.series, page, "--html", parsed.sentence, together=True, note=told)
    for note in found.notes:
        print(f"note: {printable(note)}", file=sys.stderr)
    print(f"page: {page}")


def _translate(parsed: argparse.Namespace) -> None:
    with importing():
        from attncompare.inference import sentence_batches, translate_lines, writable_page

    batches = sentence_batches(parsed.file)
    trained = _load(parsed).require("translate")
    if parsed.maps is not None:
        writable_page(parsed.maps, "--maps", outside=trained.require_attention().run.path)
    options = {name: getattr(parsed, name) for name in ("beam", "n_best", "length_penalty", "maps")}
    translate_lines(trained, batches, **options)


def _transcribe(parsed: argparse.Namespace) -> None:
    with importing():
        from attncompare.inference import one_line

    found = _load(parsed).transcribe(parsed.files, beam=parsed.beam, length_penalty=parsed.length_penalty)
    for one in found:
        print(f"{one_line(one.source)}\t{one_line(one.text)}" if len(found) > 1 else one_line(one.text))
        if one.cut:
            print(f"warning: {one.source}: cut to its first {len(one.source_ids)} vectors", file=sys.stderr)


def _generate(parsed: argparse.Namespace) -> None:
    from attncompare.inference import harmless, say_unseen

    options = ("tokens", "temperature", "top_k", "top_p", "seed", "samples")
    trained = _load(parsed)
    show = _print_likely if parsed.show_probabilities else None
    texts = trained.generate(parsed.prompt, **{name: getattr(parsed, name) for name in options}, show=show)
    say_unseen(trained.unseen(parsed.prompt))
    print("\n---\n".join(harmless(parsed.prompt + text) for text in texts))


def _print_likely(one: "Likely") -> None:
    others = "  ".join(f"{printable(token)} {probability:.2f}" for token, probability in one.tokens)
    print(f"{one.probability:.2f}  {set_cell_size(printable(one.token), 16)}  {others}")


def _fill(parsed: argparse.Namespace) -> None:
    from attncompare.inference import writable_page

    trained = _load(parsed)
    if parsed.json is not None:
        writable_page(parsed.json, "--json", outside=trained.run.path, mark=b"")
    masks = trained.fill(parsed.text, top=parsed.top)
    for number, likeliest in enumerate(masks, 1):
        if len(masks) > 1:
            print(f"mask {number}")
        for one in likeliest:
            print(f"{100 * one.probability:6.2f} %  {printable(one.token)}")
    if parsed.json is not None:
        _write(
            parsed.json,
            {"run": str(parsed.run), "text": parsed.text, "masks": [list(map(asdict, one)) for one in masks]},
        )


def _classify(parsed: argparse.Namespace) -> None:
    for label, probability in _load(parsed).classify(parsed.given):
        print(f"{100 * probability:6.2f} %  {printable(label)}")


def _evaluate(parsed: argparse.Namespace) -> None:
    with importing():
        from attncompare.inference import writable_page

    trained = _load(parsed)
    if parsed.json is not None:
        writable_page(parsed.json, "--json", outside=trained.run.path, mark=b"")
    options = {name: getattr(parsed, name) for name in ("split", "beam", "stride", "max_length")}
    found = trained.evaluate(parsed.data, **options)
    print(f"{parsed.run}: {found['split']} of data={found['data']['name']}, {found['rows']} rows")
    how = (f"{key}: {found[key]}" for key in ("beam", "stride", "max_length") if found[key])
    print(", ".join((f"weights: {found['checkpoint']}", *how)))
    for name, value in found["metrics"].items():
        print(f"{name:16}{value:12.4f}  {printable(found['signatures'].get(name, ''))}".rstrip())
    if parsed.json is not None:
        _write(parsed.json, {"run": str(parsed.run), **found})


def _write(file: Path, values: dict[str, Any]) -> None:
    from attncompare.record import write_json

    try:
        write_json(file, values)
    except OSError as error:
        raise Refused(f"--json {file}: cannot write there ({error.strerror})") from None
