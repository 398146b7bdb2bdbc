"""What a step of ``attncompare train`` takes beyond the same steps in a loop by hand, on a small model."""

import os
import pty
import sys
import threading
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from attncompare.config import RunConfig
from attncompare.training import Progress, train
from benchmarks.measure import Pause, arguments, clock, difference, median, parsed, shown, table, turns_apart
from benchmarks.models import endless, loop, nanogpt, prepared

_HAND = "the loop by hand"
_SMALL = ("backbone.d_model=64", "backbone.layers=2", "backbone.d_ff=256", "data.batch_size=4")
_WARM_UP = 3  # turns


def _by_hand(pause: Pause, config: RunConfig, steps: int) -> None:
    data, task = prepared(config)
    step = loop(config, task, task.loss, task.configure_optimizers(), endless(data))
    seconds = None
    while True:
        pause(seconds)
        began = clock()
        for _ in range(steps):
            step()
        seconds = clock() - began


def _by_command(pause: Pause, config: RunConfig, shown_as: Any, wandb: str) -> None:
    """Train by the public function, with a terminal of its own; a turn lies between two rows of metrics."""
    tracking = config.tracking.model_copy(update={"wandb": wandb})
    _into_terminal()

    began: float | None = None

    def between_rows(progress: Progress) -> None:
        nonlocal began
        if progress.phase == "training":
            pause(None if began is None else clock() - began)
            began = clock()

    pause()
    train(
        config.model_copy(update={"tracking": tracking}),
        threads=torch.get_num_threads(),
        progress=shown_as,
        on_progress=between_rows,
    )


def _into_terminal() -> None:
    """Send what this process prints to a terminal that nobody sees, so that bars are drawn as for a user."""
    master, slave = pty.openpty()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
        os.dup2(slave, stream.fileno())
    os.environ.update(TERM="xterm-256color", COLUMNS="120", LINES="40")

    def drain() -> None:
        while os.read(master, 1 << 16):
            pass

    threading.Thread(target=drain, daemon=True).start()


def main(words: list[str] | None = None) -> None:
    """Print the table."""
    parser = arguments(__doc__, rounds=40)
    options = parsed(parser, words)
    with TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        rows_every = 4 if options.quick else 20  # steps; 20 is the default
        last = (options.rounds + _WARM_UP + 2) * rows_every
        schedule = (f"trainer.max_steps={last}", f"trainer.validate_every={last}", f"trainer.log_every={rows_every}")
        device = f"trainer={'gpu' if options.device == 'cuda' else 'cpu'}"
        config = nanogpt(folder, *_SMALL, *schedule, device)
        works = {
            _HAND: (_by_hand, config, rows_every),
            "the loop by hand, once more": (_by_hand, config, rows_every),
            "attncompare train, a progress bar, W&B disabled": (_by_command, config, "bar", "disabled"),
            "attncompare train, a progress bar, W&B offline (the default)": (_by_command, config, "bar", "offline"),
            "attncompare train, plain lines, W&B offline": (_by_command, config, "lines", "offline"),
        }
        seconds, left_out = turns_apart(works, options.rounds, _WARM_UP)
    rows = []
    for name, found in seconds.items():
        step = [second / rows_every for second in found]
        base = [second / rows_every for second in seconds[_HAND]]
        beyond = "" if name == _HAND else shown(difference(step, base), "s")
        rows.append((name, shown(median(step), "s"), beyond))
    rows += [(f"{name}: {reason}", "", "") for name, reason in left_out.items()]
    notes = (
        f"2 layers, 4 heads, width 64, context 64, batch 4, fp32; a row of metrics every {rows_every} steps; no validation.",
        "The loop by hand runs twice: what the second seems to add is chance.",
    )
    table("Overhead of a step", ("training", "step", "beyond the loop by hand"), rows, *notes)


if __name__ == "__main__":
    main()
