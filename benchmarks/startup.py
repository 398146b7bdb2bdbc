"""How soon a command begins: each in fresh processes, on a warm disk."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.measure import arguments, in_turns, median, parsed, shown, table

_RUN = ("trainer=cpu", "data=reverse", "data.train_size=1000", "trainer.max_steps=1", "tracking=disabled")
_IMPORTS = ("attncompare", "numpy", "torch", "pytorch_lightning", "hydra", "wandb", "datasets")


def process(*words: str, exit_code: int = 0) -> Callable[[], None]:
    """Return what runs Python with these words, and fails where it ends otherwise."""

    def work() -> None:
        done = subprocess.run([sys.executable, *words], capture_output=True, check=False, stdin=subprocess.DEVNULL)
        if done.returncode != exit_code:
            raise SystemExit(f"{' '.join(words)}: {done.stderr.decode(errors='replace')[-300:]}")

    return work


def main(words: list[str] | None = None) -> None:
    """Print the tables."""
    options = parsed(arguments(__doc__, rounds=7), words)
    command = ("-m", "attncompare")
    with TemporaryDirectory() as folder:
        contenders = {
            "python -c pass": process("-c", "pass"),
            "attncompare --help": process(*command, "--help"),
            "a config error": process(*command, "train", "nothing=1", exit_code=2),
            "a run of one step, from start to end": process(*command, "train", *_RUN, f"runs={Path(folder) / 'runs'}"),
        }
        seconds = in_turns(contenders, options.rounds, sample=0.0)
    rows = [(name, shown(median(found), "s")) for name, found in seconds.items()]
    table("Commands", ("what", "time"), rows, f"The run: {' '.join(_RUN)}; with validation and test.")
    names = _IMPORTS[:2] if options.quick else _IMPORTS
    imports = in_turns({name: process("-c", f"import {name}") for name in names}, options.rounds, sample=0.0)
    table(
        "Imports", ("what", "time"), [(f"import {name}", shown(median(found), "s")) for name, found in imports.items()]
    )


if __name__ == "__main__":
    main()
