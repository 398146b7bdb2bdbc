"""Contenders measured in turns: in each round everyone once, so that what slows the machine down slows down all."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from attncompare.bench.contender import Contender, LeftOut
from attncompare.bench.options import Length
from attncompare.bench.spread import Spread, paired_ratio, spread
from attncompare.cli.collection import without_collection

_MOST_ROUNDS = 1000


@dataclass(frozen=True)
class Timed:
    """What one contender took: ``seconds`` of one call, round by round.

    ``prepare_seconds`` is what its preparation took, and ``first_seconds`` its first call, compilation included.
    """

    prepare_seconds: float
    first_seconds: float
    seconds: tuple[float, ...]

    @property
    def spread(self) -> Spread:
        """Return median and quartiles of the seconds."""
        return spread(self.seconds)

    def rate(self, work: float) -> Spread:
        """Return the spread of ``work`` (tokens, say) per second, where one call does that much."""
        return spread([work / one for one in self.seconds])

    def over(self, base: "Timed") -> Spread:
        """Return how many times as long as ``base`` a call took, from paired rounds of one measurement."""
        return paired_ratio(self.seconds, base.seconds)

    def faster_than(self, base: "Timed") -> Spread:
        """Return how many times as fast as ``base`` a call was, from paired rounds of one measurement."""
        return paired_ratio(base.seconds, self.seconds)


@dataclass(frozen=True)
class Measured:
    """The times of the contenders by name, in their order, and why others were left out."""

    timed: Mapping[str, Timed]
    left_out: Mapping[str, str] = field(default_factory=dict)


@dataclass
class _Turn:
    """One contender while it is measured: ``calls`` of ``work`` make one sample."""

    work: Callable[[], object]
    prepare_seconds: float
    first_seconds: float
    calls: int
    seconds: list[float] = field(default_factory=list)


def measure(
    contenders: Sequence[Contender], length: Length, synchronize: Callable[[], None] = lambda: None
) -> Measured:
    """Measure ``contenders`` in turns.

    Each is prepared, called once and called again as warm-up. Then come rounds, at least ``length.rounds`` of them and as
    many as fit in ``length.seconds``; each begins with another contender. A sample of a fast contender is the mean of as
    many calls as take ``length.sample_seconds``.

    Args:
        contenders: with different names; they do the same work.
        length: how long to measure.
        synchronize: waits until all that was called is done, as for a GPU.
    """
    turns: dict[str, _Turn] = {}
    left_out: dict[str, str] = {}
    for one in contenders:
        try:
            turns[one.name] = _begin(one, length, synchronize)
        except LeftOut as reason:
            left_out[one.name] = str(reason)
    names = list(turns)
    end = time.perf_counter() + length.seconds
    done = 0
    while names and done < _MOST_ROUNDS and (done < length.rounds or time.perf_counter() < end):
        first = done % len(names)
        for name in names[first:] + names[:first]:
            turn = turns[name]
            turn.seconds.append(_clocked(turn.work, turn.calls, synchronize))
        done += 1
    found = {n: Timed(turn.prepare_seconds, turn.first_seconds, tuple(turn.seconds)) for n, turn in turns.items()}
    return Measured(found, left_out)


def _begin(contender: Contender, length: Length, synchronize: Callable[[], None]) -> _Turn:
    began = time.perf_counter()
    work = contender.prepare()
    prepared = time.perf_counter() - began
    first = _clocked(work, 1, synchronize)
    warm = _clocked(work, 1, synchronize)
    return _Turn(work, prepared, first, max(1, math.ceil(length.sample_seconds / max(warm, 1e-9))))


def _clocked(work: Callable[[], object], calls: int, synchronize: Callable[[], None]) -> float:
    """Return the mean seconds of so many calls."""
    with without_collection():  # whose turn that falls into is chance
        synchronize()
        began = time.perf_counter()
        for _ in range(calls):
            work()
        synchronize()
        return (time.perf_counter() - began) / calls
