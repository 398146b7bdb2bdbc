"""What a score function is: how well each key answers each query, before anything is normalized."""

from abc import abstractmethod
from typing import Any, ClassVar

from torch import Tensor

from attncompare.attention.parts import Part, Section, make_part
from attncompare.attention.places import Places
from attncompare.errors import Refused


class ScoreFunction(Part):
    """How well each key answers each query: ``(q_BHTK, k_BHSK) -> scores_BHTS``.

    A new score function implements :meth:`forward` and :meth:`flops_per_score`; one with parameters also ``initial_``. It
    may override :meth:`context` with a faster kernel for the same mathematics.

    Args:
        heads: number H of heads.
        head_dim: width K of a head.
    """

    shares_keys: ClassVar[bool] = False
    """Whether :meth:`context` takes fewer heads of keys and values than of queries, each for several of these."""
    rotation_invariant: bool = False
    """Whether a score stays the same when query and key are rotated alike, as rotary positions ask."""
    longest: int | None = None
    """The longest sequence that it has parameters for; None: any."""

    def __init__(self, heads: int, head_dim: int) -> None:
        super().__init__()
        self.heads = heads
        self.head_dim = head_dim

    @abstractmethod
    def forward(self, q_BHTK: Tensor, k_BHSK: Tensor) -> Tensor:
        """Return the scores (B, H, T, S)."""

    @abstractmethod
    def flops_per_score(self) -> int:
        """Return the additions, multiplications and function values that one number of scores_BHTS costs."""

    def flops_per_query(self) -> int:
        """Return the operations that each query costs once, for all its keys."""
        return 0

    def flops_per_key(self) -> int:
        """Return the operations that each key costs once, for all its queries."""
        return 0

    def at(self, q_BHTK: Tensor, k_BHSK: Tensor, places: Places) -> Tensor:
        """Return the scores of queries and keys that stand at ``places``; a score that asks where overrides it."""
        return self(q_BHTK, k_BHSK)

    def context(
        self,
        q_BHTK: Tensor,
        k_BHSK: Tensor,
        v_BHSV: Tensor,
        may_attend: Tensor | None,
        causal: bool,
        dropout: float,
        bias: Tensor | None = None,
    ) -> Tensor | None:
        """Return ``softmax(score + bias) v`` (B, H, T, V) by a kernel that computes exactly that; None where there is none.

        ``bias`` is broadcastable to (B, H, T, S), or None for nothing to be added.
        """


def make_score(score: Section, heads: int, head_dim: int) -> ScoreFunction:
    """Return a score function by its name, or by a section of its name and settings; raises Refused as :func:`make_part`."""
    made: ScoreFunction = make_part("scores", score, heads, head_dim)
    return made


def repeated(x_BGSK: Tensor, heads: int) -> Tensor:
    """Return keys or values for each of ``heads`` query heads: those of one head serve its neighbours too."""
    shared = heads // x_BGSK.shape[1]
    return x_BGSK if shared == 1 else x_BGSK.repeat_interleave(shared, dim=1)


def checked_scores(scores_BHTS: Any, score: ScoreFunction, q_BHTK: Tensor, k_BHSK: Tensor) -> Tensor:
    """Return scores of the shape that they must have.

    Raises:
        Refused: names the class that returned others.
    """
    wanted = (*q_BHTK.shape[:3], k_BHSK.shape[2])
    if tuple(scores_BHTS.shape) != wanted:
        shapes = f"{tuple(scores_BHTS.shape)}, must be (B, H, T, S) = {wanted}"
        raise Refused(f"score {type(score).__name__}: forward returned scores of shape {shapes}")
    found: Tensor = scores_BHTS
    return found
