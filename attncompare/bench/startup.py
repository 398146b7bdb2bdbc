"""``attncompare bench startup``: how long the console script takes to begin, each time in a fresh process."""

import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from attncompare.bench.command import Say
from attncompare.bench.contender import Contender, LeftOut
from attncompare.bench.facts import machine_facts
from attncompare.bench.options import Options
from attncompare.bench.report import Column, Line, Picture, Report, Row, Table
from attncompare.bench.rounds import Measured, measure

# A small run: the generated corpus of reversed strings, the default model.
_SMALL_RUN = ("trainer=cpu", "data=reverse", "data.train_size=1000", "trainer.log_every=1", "tracking=disabled")
_FIRST_STEP = "training step 1/"  # standard error says so once it is done
_IMPORTS = ("attncompare", "numpy", "torch", "pytorch_lightning", "hydra", "wandb", "datasets")
_PATIENCE = 120.0  # seconds


def bench_startup(options: Options, say: Say) -> Report:
    """Measure commands and imports in fresh processes, all in turns.

    Raises:
        Refused: if torch finds no such device.
    """
    imports = _IMPORTS[:2] if options.quick else _IMPORTS
    commands = [
        Contender("python -c pass", lambda: _process("-c", "pass")),
        Contender("attncompare --help", lambda: _process("-m", "attncompare.cli", "--help")),
        Contender("a config error", lambda: _process("-m", "attncompare.cli", "train", "nothing=1", exit_code=2)),
        Contender("the first training step", lambda: _first_step(options)),
    ]
    libraries = [Contender(f"import {name}", _import_of(name)) for name in imports]
    say("commands and imports, in turns, each in a fresh process")
    found = measure([*commands, *libraries], options.length(rounds=7, seconds=0.0))
    from attncompare.bench.devices import use

    use(options)
    tables = (_table("Commands", commands, found), _table("Imports", libraries, found))
    settings = {"run": list(_SMALL_RUN), "rounds": len(found.timed["python -c pass"].seconds)}
    return Report(
        " ".join(["attncompare bench startup", *options.words]), machine_facts(options.device), settings, tables
    )


def _process(*arguments: str, exit_code: int = 0) -> Callable[[], None]:
    command = [sys.executable, *arguments]

    def work() -> None:
        done = subprocess.run(command, capture_output=True, check=False, stdin=subprocess.DEVNULL, timeout=_PATIENCE)
        if done.returncode != exit_code:
            last = next(iter(done.stderr.decode(errors="replace").splitlines()[-1:]), f"exit code {done.returncode}")
            raise LeftOut(last)

    return work


def _import_of(module: str) -> Callable[[], Callable[[], None]]:
    return lambda: _process("-c", f"import {module}")


def _first_step(options: Options) -> Callable[[], None]:
    """Return what starts a small run, waits until its first step is done and ends it."""
    threads = [] if options.threads is None else [f"trainer.threads={options.threads}"]
    command = [sys.executable, "-m", "attncompare.cli", "train", *_SMALL_RUN, *threads]

    def work() -> None:
        with tempfile.TemporaryDirectory() as folder:
            runs = Path(folder) / "runs"
            with subprocess.Popen(
                [*command, f"runs={runs}"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
            ) as process:
                assert process.stderr is not None
                lines = []
                try:
                    for line in process.stderr:
                        lines.append(line)
                        if _FIRST_STEP in line:
                            break
                finally:  # after Ctrl-C, too: it would train on
                    process.kill()
            if not lines or _FIRST_STEP not in lines[-1]:
                raise LeftOut(lines[-1].strip() if lines else "the run ended without a word")

    return work


def _table(title: str, contenders: list[Contender], found: Measured) -> Table:
    names = [one.name for one in contenders]
    rows = [
        Row((name,), {"seconds": found.timed[name].spread} if name in found.timed else {}, found.left_out.get(name, ""))
        for name in names
    ]
    heights = tuple(row.values.get("seconds") for row in rows)
    picture = Picture(title, "", "seconds", tuple(names), (Line("median of fresh processes", heights),))
    column = Column("seconds", "seconds", "seconds")
    note = "Medians and quartiles over fresh processes on a warm disk."
    return Table(title, ("what",), (column,), tuple(rows), (note,), (picture,))
