"""What a scheme of positions inside self-attention is: it turns queries and keys, or adds to their scores."""

from typing import ClassVar

from torch import Tensor

from attncompare.attention.parts import Part, Section, make_part
from attncompare.attention.places import Places


class Positions(Part):
    """How the positions of query and key enter their score. It defines :meth:`turned`, :meth:`bias`, or both.

    Cross-attention has none: a position in the source says nothing of the distance to one in the target.

    Args:
        heads: number H of heads.
        head_dim: width K of queries and keys.
    """

    rotates: ClassVar[bool] = False
    """Whether :meth:`turned` rotates by angles of the position, which means distances only to a score that rotations leave."""

    def __init__(self, heads: int, head_dim: int) -> None:
        super().__init__()
        self.heads, self.head_dim = heads, head_dim

    def turned(self, x_BHTK: Tensor, position_T: Tensor) -> Tensor:  # noqa: ARG002
        """Return queries, or keys, as they are at their positions (T,); a cache holds keys that are turned."""
        return x_BHTK

    def bias(self, q_BHTK: Tensor, places: Places, causal: bool) -> Tensor | None:  # noqa: ARG002
        """Return what is added to the scores, broadcastable to (B, H, T, S); None: nothing.

        ``causal``: whether queries see no key behind them.
        """
        return None

    def flops_per_score(self) -> int:
        """Return the operations that it adds to each score."""
        return 0

    def flops_per_query(self) -> int:
        """Return the operations that it costs each query of a head once, for all its keys."""
        return 0


def make_positions(positions: Section, heads: int, head_dim: int) -> Positions:
    """Return a scheme by its name, or by a section of its name and settings; raises Refused as :func:`make_part`."""
    made: Positions = make_part("positions", positions, heads, head_dim)
    return made


def apart(places: Places) -> Tensor:
    """Return how far each key stands before each query, (T, S): negative where it stands behind it."""
    return places.of_queries()[:, None] - places.of_keys()[None, :]
