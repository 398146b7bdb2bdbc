"""What the waiting of OpenMP's threads costs a training step, on quiet cores and beside others that want the same cores."""

import argparse
import math
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import torch

from attncompare import WAITING
from attncompare.config import RunConfig
from attncompare.sweep.pool import cores_here
from benchmarks.measure import Apart, Pause, arguments, median, parsed, ratio, rotated, shown, table
from benchmarks.models import TINY, config_of, endless, loop, prepared

WAYS = {
    "torch's default": {"GOMP_SPINCOUNT": "300000"},  # as GNU's OpenMP has it where nothing is set
    "attncompare": WAITING,
    "passive": {"OMP_WAIT_POLICY": "PASSIVE"},
}
_QUIET = 0.05  # share of the cores' time that others may take in a quiet turn
_TRIES = 10  # rounds for each quiet one that counts
_WARM_UP = 2  # turns


def _steps(pause: Pause, config: RunConfig, steps: int, quiet: bool) -> None:
    """Train; a turn in which others took the cores lasts NaN seconds where they shall be ``quiet``."""
    data, task = prepared(config)
    step = loop(config, task, task.loss, task.configure_optimizers(), endless(data))
    pause()
    while True:
        others, began = _others(), time.perf_counter()
        for _ in range(steps):
            step()
        seconds = time.perf_counter() - began
        disturbed = quiet and _others() - others > _QUIET * cores_here() * seconds
        pause(math.nan if disturbed else seconds)


def _others() -> float:
    """Return the seconds that other processes than this one took of all cores so far; 0 where the system does not say."""
    file = Path("/proc/stat")
    if not file.exists():
        return 0.0
    user, nice, system, _, _, interrupts, late_interrupts = map(int, file.read_text().split()[1:8])
    ticks = user + nice + system + interrupts + late_interrupts
    return ticks / os.sysconf("SC_CLK_TCK") - time.process_time()


@contextmanager
def _waiting(way: Mapping[str, str]) -> Iterator[None]:
    """Start processes whose OpenMP waits in this way: it reads the environment when torch is imported."""
    names = {name for one in WAYS.values() for name in one}
    before = {name: value for name, value in os.environ.items() if name in names}
    try:
        for name in names:
            os.environ.pop(name, None)
        os.environ.update(way)
        yield
    finally:
        for name in names:
            os.environ.pop(name, None)
        os.environ.update(before)


@contextmanager
def _loops(count: int) -> Iterator[None]:
    """Keep ``count`` cores busy with programs that do not use OpenMP."""
    started = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for one in started:
            one.kill()
            one.wait()


def _measured(
    options: argparse.Namespace, threads: int, trainings: int, loops: int
) -> tuple[dict[str, list[float]], int]:
    """Return the seconds of a step for each way, round by round, and how many rounds others disturbed."""
    quiet, steps = trainings == 1 and loops == 0, 2 if options.quick else 10
    config = config_of("data=reverse", "trainer=cpu", *(TINY if options.quick else ()))
    torch.set_num_threads(threads)
    found: dict[str, list[float]] = {name: [] for name in WAYS}
    left_out = 0
    with ExitStack() as stack, ThreadPoolExecutor(trainings) as turns:
        apart: dict[str, list[Apart]] = {}
        for name, way in WAYS.items():
            with _waiting(way):
                apart[name] = [Apart(_steps, config, steps, quiet and not options.quick) for _ in range(trainings)]
            for one in apart[name]:
                stack.callback(one.leave)
        for number in range(-_WARM_UP, options.rounds * _TRIES):
            row = {}
            for name in rotated(list(WAYS), number):
                with _loops(loops):
                    row[name] = max(turns.map(Apart.turn, apart[name])) / steps
            if number < 0:
                continue
            if any(map(math.isnan, row.values())):
                left_out += 1
                continue
            for name, seconds in row.items():
                found[name].append(seconds)
            if len(found[name]) == options.rounds:
                break
    return found, left_out


def main(words: list[str] | None = None) -> None:
    """Print the table."""
    options = parsed(arguments(__doc__, rounds=20), words)
    cores = options.threads or cores_here()
    settings = {
        f"quiet cores, {cores} threads": (cores, 1, 0),
        f"{cores} trainings of {cores} threads": (cores, cores, 0),
        f"{cores} trainings of one thread, as in a sweep": (1, cores, 0),
        f"another program on each core, {cores} threads": (cores, 1, cores),
    }
    rows = []
    for what, setting in list(settings.items())[: 1 if options.quick else None]:
        found, left_out = _measured(options, *setting)
        for name, seconds in found.items():
            if not seconds:
                rows.append((what, name, f"no quiet round of {left_out}", "", ""))
                continue
            others = [shown(ratio(seconds, found[base]), "×") for base in ("torch's default", "passive")]
            rows.append((what, name, shown(median(seconds), "s"), *others))
    how = ", ".join(f"{name}: {' '.join(f'{key}={value}' for key, value in way.items())}" for name, way in WAYS.items())
    table(
        "Training steps by how OpenMP's threads wait",
        ("cores", "waiting", "step", "÷ torch's default", "÷ passive"),
        rows,
        f"`data=reverse`, fp32; the slowest of trainings that run at the same time. {how}.",
        f"A quiet round counts where others took less than {_QUIET:.0%} of the cores.",
    )


if __name__ == "__main__":
    main()
