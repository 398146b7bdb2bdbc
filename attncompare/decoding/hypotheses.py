"""Ended translations: their scores, and the best of them for each sentence of a batch."""

from typing import NamedTuple

import torch
from torch import Tensor


class Hypothesis(NamedTuple):
    """One translation as the search left it."""

    ids: list[int]
    """Token ids; the last is EOS unless it is of the longest length."""
    log_probability: float
    """The sum over these tokens, in nats."""
    score: float
    """The log-probability divided by the length penalty: what hypotheses are ranked by."""


def length_penalty_of(length: int, alpha: float) -> float:
    """Return ``((5 + length) / 6)^alpha`` (Wu et al. 2016, equation 14); 1 for any length where alpha is 0.

    Args:
        length: tokens of the hypothesis, its EOS among them.
        alpha: how much longer translations are preferred.
    """
    return ((5 + length) / 6) ** alpha


class Ended:
    """The ``n_best`` best ended hypotheses of each sentence so far. Of equal scores the one that ended first is better.

    Args:
        sentences: how many there are.
        n_best: how many of each are kept.
        max_length: tokens of the longest.
        device: where.
    """

    def __init__(self, sentences: int, n_best: int, max_length: int, device: torch.device) -> None:
        self.score_Bn = torch.full((sentences, n_best), -torch.inf, dtype=torch.float64, device=device)
        self.total_Bn = self.score_Bn.clone()
        self.length_Bn = torch.zeros(sentences, n_best, dtype=torch.int64, device=device)
        self.tokens_BnT = torch.zeros(sentences, n_best, max_length, dtype=torch.int64, device=device)
        self.count_B = torch.zeros(sentences, dtype=torch.int64, device=device)

    def add(self, sentences_A: Tensor, total_AW: Tensor, penalty: float, tokens_AWT: Tensor) -> None:
        """Add hypotheses that end with the same token now.

        Args:
            sentences_A: which sentences, each once.
            total_AW: log-probabilities, best first; -inf where there is no hypothesis.
            penalty: the length penalty of all of them.
            tokens_AWT: their tokens.
        """
        length, n_best = tokens_AWT.shape[2], self.score_Bn.shape[1]
        new = (total_AW / penalty, total_AW, torch.full_like(tokens_AWT[..., 0], length), tokens_AWT)
        held = (self.score_Bn, self.total_Bn, self.length_Bn, self.tokens_BnT)
        scores = torch.cat((self.score_Bn[sentences_A], new[0]), dim=1)
        best_An = scores.sort(dim=1, descending=True, stable=True).indices[:, :n_best]
        for old, added in zip(held, new, strict=True):
            if old.dim() == 3:
                both = torch.cat((old[sentences_A, :, :length], added), dim=1)
                old[sentences_A, :, :length] = both.gather(1, best_An[..., None].expand(-1, -1, length))
            else:
                old[sentences_A] = torch.cat((old[sentences_A], added), dim=1).gather(1, best_An)
        self.count_B[sentences_A] += (total_AW > -torch.inf).sum(1)

    def lists(self) -> list[list[Hypothesis]]:
        """Return the hypotheses of each sentence, best first; fewer than ``n_best`` where there are not so many."""
        columns = (self.tokens_BnT, self.length_Bn, self.total_Bn, self.score_Bn)
        return [
            [
                Hypothesis(tokens[:length], total, score)
                for tokens, length, total, score in zip(*rows, strict=True)
                if length
            ]
            for rows in zip(*(column.tolist() for column in columns), strict=True)
        ]
