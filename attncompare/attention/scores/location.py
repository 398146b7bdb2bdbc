"""The location-based score (Luong et al. 2015, section 3.1, equation 8): where a key stands decides, not what it says."""

import torch
from torch import Generator, Tensor, nn

from attncompare.attention.places import Places
from attncompare.attention.scores.base import ScoreFunction
from attncompare.config.values import PartConfig, Positive
from attncompare.errors import Refused


class Location(ScoreFunction):
    """``w_s . q`` for the key at position s (Luong et al. 2015, equation 8). H * length * K parameters; 2K operations a score."""

    class Config(PartConfig):
        """The longest sequence of keys."""

        length: Positive = 256

    def __init__(self, heads: int, head_dim: int, length: int) -> None:
        super().__init__(heads, head_dim)
        self.longest = length
        self.w_HSK = nn.Parameter(torch.empty(heads, length, head_dim))
        self.initial_("w_HSK", self.w_HSK, torch.Generator().manual_seed(0))

    @torch.no_grad()
    def initial_(self, name: str, parameter: Tensor, generator: Generator | None) -> None:
        """Draw ``w`` from a normal distribution of variance 1/K, so that scores are of order 1 for any K."""
        assert name == "w_HSK"
        nn.init.normal_(parameter, std=self.head_dim**-0.5, generator=generator)

    def forward(self, q_BHTK: Tensor, k_BHSK: Tensor) -> Tensor:
        """Return the scores (B, H, T, S) of keys that stand at 0, 1, ..."""
        return self.at(q_BHTK, k_BHSK, Places(0, q_BHTK.shape[2], k_BHSK.shape[2], q_BHTK.device))

    def at(self, q_BHTK: Tensor, k_BHSK: Tensor, places: Places) -> Tensor:
        """Return the scores of keys that stand at ``places``; refused beyond ``length``."""
        require_length(places.last_key, self.w_HSK.shape[1], "location")
        return q_BHTK @ self.w_HSK[:, places.of_keys()].transpose(-2, -1).to(q_BHTK.dtype)

    def flops_per_score(self) -> int:
        """Return K multiplications and K additions."""
        return 2 * self.head_dim


def require_length(last: int, length: int, score: str) -> None:
    """Refuse a position that a score of positions has no parameter for."""
    if last >= length:
        raise Refused(f"a sequence of {last + 1} tokens: the score '{score}' has a length of {length}")
