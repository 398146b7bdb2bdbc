"""What all benchmarks share: work in turns, medians with intervals, peak memory, tables in markdown.

Contenders do the same work on the same numbers and take turns: in each round each has one, and every round begins with
another. Ratios and differences are taken round by round, so that what slows the whole machine down for a while cancels out.
"""

import argparse
import contextlib
import gc
import math
import multiprocessing
import os
import platform
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.utils.benchmark import Timer

from attncompare.attention.kernels.build import identity

_DRAWS = 4000  # of the bootstrap
_UNITS = {
    "s": ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")),
    "B": ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"), (1, "B")),
}


class LeftOut(Exception):  # noqa: N818
    """What cannot be measured here; the message says why. The rest goes on."""


class Median(NamedTuple):
    """The median of some rounds with its 95 % interval (bootstrap)."""

    value: float
    low: float
    high: float


def median(values: Iterable[float]) -> Median:
    """Return the median of ``values`` with its interval."""
    found = np.fromiter(values, float)
    drawn = np.random.default_rng(0).choice(found, (_DRAWS, len(found)))
    low, high = np.quantile(np.median(drawn, axis=1), (0.025, 0.975))
    return Median(float(np.median(found)), float(low), float(high))


def ratio(values: Sequence[float], base: Sequence[float]) -> Median:
    """Return the median of ``value / base`` round by round."""
    return median(value / other for value, other in zip(values, base, strict=True))


def difference(values: Sequence[float], base: Sequence[float]) -> Median:
    """Return the median of ``value - base`` round by round."""
    return median(value - other for value, other in zip(values, base, strict=True))


def shown(value: Median | float | None, unit: str = "") -> str:
    """Return a figure with its interval; unit: "s", "B" (both with a factor that fits), or what stands behind the number."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    middle = value.value if isinstance(value, Median) else value
    sizes = _UNITS.get(unit, ((1, unit),))
    size, name = next((one for one in sizes if abs(middle) >= one[0]), sizes[-1])
    text = _digits(middle / size) + (f" {name}" if name not in ("", "×") else name)
    if isinstance(value, Median):
        text += f" [{_digits(value.low / size)}, {_digits(value.high / size)}]"
    return text


def _digits(number: float) -> str:
    if isinstance(number, int) or number == 0 or not math.isfinite(number):
        return f"{number:,}"
    return f"{number:,.{max(0, 2 - math.floor(math.log10(abs(number))))}f}"


def table(title: str, heads: Sequence[str], rows: Iterable[Sequence[str]], *notes: str) -> None:
    """Print a table in markdown; the first column is text, the others are figures."""
    lines = [f"| {' | '.join(row)} |" for row in (heads, ["---", *["--:"] * (len(heads) - 1)], *rows)]
    print("\n\n".join([f"**{title}**", "\n".join(lines), *notes]), end="\n\n", flush=True)


def machine() -> str:
    """Return the machine, the threads and the versions that figures belong to, in one line."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    gpu = [torch.cuda.get_device_name()] if torch.cuda.is_available() else []
    git = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty=+", "--exclude=*"]
    with contextlib.suppress(OSError, subprocess.CalledProcessError):
        commit = subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()
        gpu.append(f"commit {commit}")
    facts = (next(iter(names), platform.machine()), f"{os.cpu_count()} cores", f"{torch.get_num_threads()} threads")
    kernels = f"compiled kernels {'present' if identity() else 'absent'}"
    return ", ".join((*facts, *gpu, f"Python {platform.python_version()}", f"torch {torch.__version__}", kernels)) + "."


def arguments(description: str | None, *, rounds: int) -> argparse.ArgumentParser:
    """Return a parser with what every benchmark can be told; ``rounds`` is the default."""
    parser = argparse.ArgumentParser(description=description, allow_abbrev=False)
    parser.add_argument(
        "--rounds", type=int, default=rounds, metavar="N", help=f"turns of each contender (default: {rounds})"
    )
    parser.add_argument("--threads", type=int, metavar="N", help="threads of torch (default: as many as it takes)")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="default: cpu")
    parser.add_argument(
        "--quick", action="store_true", help="tiny sizes: shows that it works; the figures mean nothing"
    )
    return parser


def parsed(parser: argparse.ArgumentParser, words: Sequence[str] | None) -> argparse.Namespace:
    """Return what the command line says, with threads set and the device checked."""
    options = parser.parse_args(words)
    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("--device cuda: torch finds no CUDA device here; valid: cpu")
    if options.quick:
        options.rounds = min(options.rounds, 2)
    if options.threads:
        torch.set_num_threads(options.threads)
    print(f"`{Path(parser.prog).name} {' '.join(words or ())}`: {machine()}\n", flush=True)
    return options


def in_turns(
    contenders: Mapping[str, Callable[[], object]], rounds: int, sample: float = 0.005
) -> dict[str, list[float]]:
    """Return the seconds of a call of each contender, round by round.

    Args:
        contenders: by name; each is called twice before anything counts.
        rounds: how many.
        sample: seconds that a turn lasts at least, by as many calls.
    """
    timers = {
        name: Timer("work()", globals={"work": work}, num_threads=torch.get_num_threads())
        for name, work in contenders.items()
    }
    calls = {name: max(1, math.ceil(sample / max(timer.timeit(1).mean, 1e-9))) for name, timer in timers.items()}
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds):
        for name in rotated(list(contenders), number):
            seconds[name].append(timers[name].timeit(calls[name]).mean)
    return seconds


def clock() -> float:
    """Return the time in seconds: for one thread the processor's, which other processes disturb little, else the wall's."""
    return (
        time.process_time() if torch.get_num_threads() == 1 and not torch.cuda.is_initialized() else time.perf_counter()
    )


def rotated(names: list[str], number: int) -> list[str]:
    """Return the names in the order of round ``number``."""
    first = number % len(names)
    return names[first:] + names[:first]


Pause = Callable[..., None]
"""Called by work when it is ready to begin and after each turn, maybe with the seconds of the turn; returns at the next turn."""


class Apart:
    """Work in a process of its own, as whoever trains has it, which stands still between turns.

    In one process trainings would disturb each other: OpenMP keeps threads for every thread that computes, and memory,
    random generators and flags of torch are global.

    Args:
        work: a function of a module, called with :data:`Pause` and the arguments.
        arguments: of the work, pickled on their way.
    """

    def __init__(self, work: Callable[..., Any], *arguments: Any) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        orders = (theirs, work, arguments, torch.get_num_threads())
        self._process = context.Process(target=_work, args=orders)  # not a daemon: W&B starts processes of its own
        self._process.start()
        theirs.close()
        self._wait()

    def turn(self) -> float:
        """Let it work up to its next pause, and return the seconds that this took."""
        began = time.perf_counter()
        self._connection.send(True)
        seconds = self._wait()
        return time.perf_counter() - began if seconds is None else seconds

    def leave(self) -> None:
        """End it where it stands."""
        self._process.kill()
        self._process.join()

    def _wait(self) -> float | None:
        try:
            problem, seconds = self._connection.recv()
        except EOFError:
            problem, seconds = "its process died", None
        if problem is not None:
            self.leave()
            raise LeftOut(problem)
        return seconds


def _work(connection: Connection, work: Callable[..., Any], arguments: tuple[Any, ...], threads: int) -> None:
    torch.set_num_threads(threads)
    gc.freeze()

    def pause(seconds: float | None = None) -> None:
        if torch.cuda.is_initialized():
            torch.cuda.synchronize()
        connection.send((None, seconds))
        connection.recv()

    try:
        work(pause, *arguments)
        problem = "it ended before its last turn"
    except Exception as error:
        problem = str(error) if isinstance(error, LeftOut) else f"{type(error).__name__}: {error}"
    connection.send((problem, None))


def turns_apart(
    works: Mapping[str, tuple[Any, ...]], rounds: int, warm_up: int = 2
) -> tuple[dict[str, list[float]], dict[str, str]]:
    """Return the seconds of each turn of works in processes of their own, and why others were left out.

    Args:
        works: by name, the arguments of :class:`Apart`.
        rounds: how many turns each has.
        warm_up: how many it has before that.
    """
    apart: dict[str, Apart] = {}
    left_out: dict[str, str] = {}
    try:
        for name, work in works.items():
            try:
                apart[name] = Apart(*work)
                for _ in range(warm_up):
                    apart[name].turn()
            except LeftOut as reason:
                left_out[name] = str(reason)
                apart.pop(name, None)
        seconds: dict[str, list[float]] = {name: [] for name in apart}
        for number in range(rounds if apart else 0):
            for name in rotated(list(apart), number):
                seconds[name].append(apart[name].turn())
    finally:
        for one in apart.values():
            one.leave()
    return seconds, left_out


# Blocks beyond 128 KiB go back to the system at once, instead of when the C library finds it worth it.
_PLAIN_HEAP = {"MALLOC_MMAP_THRESHOLD_": "131072", "MALLOC_TRIM_THRESHOLD_": "131072", "MALLOC_TOP_PAD_": "0"}


def peak_bytes(
    make: Callable[..., Callable[[], object]], arguments: Mapping[str, Any], warm_up: Mapping[str, Any] | None
) -> int:
    """Return by how many bytes memory grows at most during one call, in a process of its own.

    On the CPU this is the highest resident size during the call (Linux counts it, exact to some 100 KiB) less that before it;
    on CUDA what torch allocated. What the call returns counts, what was prepared does not.

    Args:
        make: a function of a module that returns the work.
        arguments: of ``make``.
        warm_up: those of a small problem of the same kind, called before, so that code, threads and buffers of libraries are
            not counted; None: the call before is one of the same work, where a first call compiles for its sizes.
    """
    context = multiprocessing.get_context("spawn")
    mine, theirs = context.Pipe()
    before = {name: os.environ.get(name) for name in _PLAIN_HEAP}
    os.environ.update(_PLAIN_HEAP)  # read by the C library when the process starts
    try:
        orders = (theirs, make, dict(arguments), warm_up, torch.get_num_threads())
        process = context.Process(target=_measure_peak, args=orders, daemon=True)
        process.start()
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
    theirs.close()
    try:
        return int(mine.recv())
    except (EOFError, ValueError) as error:
        raise LeftOut("its process for memory ended early") from error
    finally:
        process.join()


def _measure_peak(
    connection: Connection, make: Callable[..., Callable[[], object]], given: dict[str, Any], warm_up: Any, threads: int
) -> None:
    torch.set_num_threads(threads)
    if warm_up is not None:
        make(**warm_up)()
    work = make(**given)
    if warm_up is None:
        work()
    gc.collect()
    if given.get("device") == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        result = work()
        torch.cuda.synchronize()
        growth = torch.cuda.max_memory_allocated() - before
    else:
        Path("/proc/self/clear_refs").write_text("5")  # the highest resident size is the present one from now on
        before = _resident("smaps_rollup", "Rss")
        result = work()
        growth = _resident("status", "VmHWM") - before
    del result
    connection.send(max(0, growth))


def _resident(file: str, key: str) -> int:
    lines = Path(f"/proc/self/{file}").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(f"{key}:")).split()[1])
