"""Scores that no query and no key decides, a control (Synthesizer; Tay et al. 2021, section 3.1.2, "random")."""

import torch
from torch import Generator, Tensor, nn

from attncompare.attention.places import Places
from attncompare.attention.scores.base import ScoreFunction
from attncompare.attention.scores.location import require_length
from attncompare.config.values import PartConfig, Positive


class Random(ScoreFunction):
    """``R_ts`` for the query at t and the key at s (Tay et al. 2021, section 3.1.2): learned, or as it was drawn.

    H * length * length numbers, which are parameters also where they stay as they were drawn, so that a record holds them.
    """

    class Config(PartConfig):
        """The longest sequence, and whether the scores are trained."""

        length: Positive = 256
        learned: bool = True

    def __init__(self, heads: int, head_dim: int, length: int, learned: bool) -> None:
        super().__init__(heads, head_dim)
        self.longest = length
        self.r_HTS = nn.Parameter(torch.empty(heads, length, length), requires_grad=learned)
        self.initial_("r_HTS", self.r_HTS, torch.Generator().manual_seed(0))

    @torch.no_grad()
    def initial_(self, name: str, parameter: Tensor, generator: Generator | None) -> None:
        """Draw ``R`` from a standard normal distribution."""
        assert name == "r_HTS"
        nn.init.normal_(parameter, generator=generator)

    def forward(self, q_BHTK: Tensor, k_BHSK: Tensor) -> Tensor:
        """Return the scores (B, H, T, S) of queries and keys that stand at 0, 1, ..."""
        return self.at(q_BHTK, k_BHSK, Places(0, q_BHTK.shape[2], k_BHSK.shape[2], q_BHTK.device))

    def at(self, q_BHTK: Tensor, k_BHSK: Tensor, places: Places) -> Tensor:
        """Return the scores of queries and keys that stand at ``places``; refused beyond ``length``."""
        require_length(max(places.last_query, places.last_key), self.r_HTS.shape[1], "random")
        chosen_HTS = self.r_HTS[:, places.of_queries()][:, :, places.of_keys()]
        return chosen_HTS.to(q_BHTK.dtype).expand(len(q_BHTK), -1, -1, -1)

    def flops_per_score(self) -> int:
        """Return 0: nothing is computed."""
        return 0
