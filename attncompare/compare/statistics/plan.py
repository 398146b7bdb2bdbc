"""How many further seeds would decide what is not decided: the deciding test on simulated seeds (Gelman and Hill 2007, 20.5).

The seeds that are there stay. Further ones are drawn from the normal distribution with their means and covariances, so that
all comparisons of the family go together as they do in the figures, and are tested at the level of the next look.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from attncompare.compare.statistics.family import kinds, seeds_by_comparison, step_down_p
from attncompare.compare.statistics.results import Difference, generator
from attncompare.compare.statistics.seeds import Floats, permutation_p, sign_choices

CHANCES = (0.75, 0.85)
"""How probable it is that the fewest and the most seeds of the advice decide."""
_FURTHER = (1, 2, 3, 4, 6, 8, 11, 15, 20, 28, 40, 60)
_FAMILIES = 200  # simulated for each number of seeds
_CHOICES = 2**10  # of signs, or deals, in each of them
_FEWEST = 3  # the spread of two differences says next to nothing


def with_advice(differences: Sequence[Difference], metrics: Sequence[str], level: float) -> list[Difference]:
    """Return corrected ``differences`` with ``more_seeds`` where one is not decided and a number below 60 probably decides it.

    ``level`` is that of the next look.
    Ranks say nothing of the ranks of further seeds, so there is no advice for them.
    """
    paired = [place for place, one in enumerate(differences) if one.p is not None and one.paired]
    others = [place for place, one in enumerate(differences) if one.p is not None and not one.paired]
    level /= 2 if paired and others else 1
    advice: dict[int, tuple[int, int] | None] = {}
    rows_NM = seeds_by_comparison([differences[place] for place in paired])
    whole = all(len(differences[place].by_seed) == len(rows_NM) for place in paired)
    if whole and len(rows_NM) >= _FEWEST and not all(differences[place].decided for place in paired):
        kinds_M = kinds([differences[place] for place in paired], [metrics[place] for place in paired])
        open_M = np.array([not differences[place].decided and not differences[place].ranks for place in paired])
        found = _seeds_needed(lambda further: _paired_chances(rows_NM, kinds_M, further, level), open_M)
        advice |= dict(zip(paired, found, strict=True))
    for place in others:
        one = differences[place]
        if not one.decided and not one.ranks and one.n >= _FEWEST:
            advice[place] = _unpaired_advice(one, level / len(others))
    return [replace(one, more_seeds=advice.get(place)) for place, one in enumerate(differences)]


def _unpaired_advice(one: Difference, level: float) -> tuple[int, int] | None:
    def chances(further: int) -> Floats:
        rows = [np.array(group)[:, None] for group in one.groups]
        drawn = [_drawn(group, further, salt)[:, :, 0] for salt, group in enumerate(rows)]
        return np.array([(permutation_p(drawn[0], drawn[1], _CHOICES) <= level).mean()])

    return _seeds_needed(chances, np.array([True]))[0]


def _paired_chances(rows_NM: Floats, kinds_M: NDArray[np.str_], further: int, level: float) -> Floats:
    drawn_XNM = _drawn(rows_NM, further)
    signs_CN = sign_choices(drawn_XNM.shape[1], _CHOICES)
    chances: Floats = (step_down_p(drawn_XNM, kinds_M, signs_CN) <= level).mean(0)
    return chances


def _drawn(rows_NM: Floats, further: int, salt: int = 0) -> Floats:
    """Return ``rows_NM`` with ``further`` drawn rows behind them, (X, N + further, M)."""
    mean_M, n = rows_NM.mean(0), len(rows_NM)
    random = np.random.default_rng([salt, further, int(generator().integers(2**32))])
    weights_XFN = random.standard_normal((_FAMILIES, further, n)) / np.sqrt(n - 1)
    new_XFM = mean_M + weights_XFN @ (rows_NM - mean_M)
    return np.concatenate([np.broadcast_to(rows_NM, (_FAMILIES, *rows_NM.shape)), new_XFM], axis=1)


def _seeds_needed(chances: Callable[[int], Floats], open_M: NDArray[np.bool_]) -> list[tuple[int, int] | None]:
    """Return for each open comparison at how many further seeds its chance reaches those of ``CHANCES``."""
    tried, reached = [0], [np.zeros(len(open_M))]
    for further in _FURTHER:
        tried.append(further)
        reached.append(np.maximum(reached[-1], chances(further)))
        if (reached[-1] >= CHANCES[1])[open_M].all():
            break
    table_TM, found = np.array(reached), []
    for column, is_open in zip(table_TM.T, open_M, strict=True):
        ends = [_crossing(tried, column, chance) for chance in CHANCES]
        low, high = ends[0], ends[1] or tried[-1]
        found.append((low, high) if is_open and low is not None else None)
    return found


def _crossing(tried: Sequence[int], chances_T: Floats, wanted: float) -> int | None:
    """Return the fewest seeds that reach ``wanted``; between those that were tried, the chance is straight on a probit scale."""
    place = int(np.argmax(chances_T >= wanted))
    if chances_T[place] < wanted:
        return None
    least = 1 / (2 * _FAMILIES)
    before, after, at = ndtri(np.clip([chances_T[place - 1], chances_T[place], wanted], least, 1 - least))
    share = (at - before) / (after - before)
    return int(np.ceil(tried[place - 1] + share * (tried[place] - tried[place - 1]) - 1e-9))
