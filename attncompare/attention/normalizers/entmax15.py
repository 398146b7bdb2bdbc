"""Between softmax and sparsemax: zeros for what is far from the best (Peters, Niculae and Martins 2019)."""

import entmax
from torch import Tensor

from attncompare.attention.normalizers.sparsemax import Sparsemax


class Entmax15(Sparsemax):
    """1.5-entmax (Peters et al. 2019, section 3), computed exactly by sorting (their algorithm 2)."""

    def project(self, scores_BHTS: Tensor) -> Tensor:
        """Return the weights where nothing is hidden."""
        projected: Tensor = entmax.entmax15(scores_BHTS, dim=-1)
        return projected
