"""Boolean masks, ``True`` = may attend, broadcastable to (B, H, T, S), and what a pattern of them is."""

from abc import abstractmethod
from typing import ClassVar

import torch
from torch import Tensor

from attncompare.attention.parts import Part, Section, make_part
from attncompare.errors import Refused

_MOST_ASKED, _AT_ONCE = 2**14, 2**8  # positions, and queries of them


class Mask(Part):
    """Which keys a query may attend to by their positions alone, beside causality and padding.

    It never hides a key from the query at the same position, so that in self-attention no query that has a key loses all.
    """

    sees_future: ClassVar[bool] = False
    """Whether it opens keys behind the query even in causal attention."""
    crosses: ClassVar[bool] = False
    """Whether it holds for the keys of a memory, too, of which the positions count from 0 as those of the queries do."""
    opened: int = 0
    """How many first tokens every query sees then; they carry no loss."""

    @abstractmethod
    def visible(self, query_T1: Tensor, key_1S: Tensor, causal: bool) -> Tensor:
        """Return a boolean tensor (T, S): may the query at one position attend to the key at another?

        ``causal``: whether what stands behind the query is hidden; that is done elsewhere, unless it sees the future.
        """

    def hides_nothing(self, length: int, causal: bool) -> bool:
        """Return whether up to ``length`` tokens it changes nothing of what is visible; False where they are too many to tell."""
        position_S = torch.arange(min(length, _MOST_ASKED + 1))
        # The last query first, which most masks hide something from.
        for query_T1 in position_S[:, None].flip(0).split(_AT_ONCE):
            plain_TS = (position_S <= query_T1) | (not causal)
            visible_TS = self.visible(query_T1, position_S[None], causal)
            if not (causal and self.sees_future):
                visible_TS = visible_TS & plain_TS
            if not torch.equal(visible_TS, plain_TS):
                return False
        return length <= _MOST_ASKED

    def needed_later(self, key_S: Tensor, position: int) -> Tensor | None:  # noqa: ARG002
        """Return which keys (S,) queries from ``position`` on may attend to, so that a cache forgets others; None: all."""
        return None


def make_mask(mask: Section) -> Mask:
    """Return a mask by its name, or by a section of its name and settings; raises Refused as :func:`make_part`."""
    made: Mask = make_part("masks", mask)
    return made


def padding_mask(is_token_BS: Tensor) -> Tensor:
    """Return the mask that hides padding keys from every head and query.

    Args:
        is_token_BS: boolean (B, S), ``False`` where a position is padding.

    Returns:
        Boolean (B, 1, 1, S).
    """
    return is_token_BS[:, None, None, :]


def causal_mask(queries: int, keys: int, device: torch.device | None = None) -> Tensor:
    """Return the mask under which a query sees its own position and those before it.

    The last query stands at the last key: with a cache of earlier keys, new queries see all of them.

    Returns:
        Boolean (T, S): key s is visible to query t exactly if ``s <= t + S - T``.
    """
    return torch.ones(queries, keys, dtype=torch.bool, device=device).tril(diagonal=keys - queries)


def checked(may_attend: Tensor | None, what: str = "may_attend") -> Tensor | None:
    """Return a mask, which messages call ``what``, with two dimensions at least, (T, S), as torch's kernels need it.

    Raises:
        Refused: if it is not boolean. A kernel would add numbers to the scores instead of hiding keys.
    """
    if may_attend is None:
        return None
    if may_attend.dtype != torch.bool:
        raise Refused(f"{what} is of type {may_attend.dtype}: must be torch.bool, True = may attend")
    return torch.atleast_2d(may_attend)


def combine(first: Tensor | None, second: Tensor | None) -> Tensor | None:
    """Return the mask that allows what both masks allow; ``None`` allows everything."""
    if first is None or second is None:
        return second if first is None else first
    return first & second
