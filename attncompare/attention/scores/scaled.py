"""The scaled dot-product score (Vaswani et al. 2017, equation 1)."""

from attncompare.attention.scores.dot import Dot


class Scaled(Dot):
    """``q . k / sqrt(K)`` (Vaswani et al. 2017, section 3.2.1, equation 1). No parameters; 2K + 1 operations a score."""

    def __init__(self, heads: int, head_dim: int) -> None:
        super().__init__(heads, head_dim)
        self.scale = head_dim**-0.5

    def flops_per_score(self) -> int:
        """Return K multiplications, K additions and the scaling."""
        return 2 * self.head_dim + 1
