"""What a score function is, and the explicit path from scores to context that serves all of them."""

import inspect
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import torch
from pydantic import ValidationError
from torch import Generator, Tensor, nn

from attncompare.attention.kernels.dropout import drop_weights
from attncompare.attention.masks import causal_mask, combine
from attncompare.config.values import PartConfig
from attncompare.errors import Refused
from attncompare.registry import load


class ScoreFunction(nn.Module):
    """How well each key answers each query: ``(q_BHTK, k_BHSK) -> scores_BHTS``.

    A new score function implements :meth:`forward` and :meth:`flops_per_score`; one with parameters also :meth:`initial_`. It
    may override :meth:`context` with a faster kernel for the same mathematics. One with settings of its own declares them
    in a nested ``Config``, with their types, and takes them as arguments of its constructor::

        class Local(ScoreFunction):
            class Config(PartConfig):
                window: int = 8

            def __init__(self, heads, head_dim, window=8): ...

    Args:
        heads: number H of heads.
        head_dim: width K of a head.
    """

    class Config(PartConfig):
        """The settings of the section ``attention.score``, beside its name: none."""

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

    def initial_(self, name: str, parameter: Tensor, generator: Generator | None) -> None:
        """Fill ``parameter``, called ``name``, with its initial values, drawn from ``generator``."""
        raise NotImplementedError

    def context(
        self, q_BHTK: Tensor, k_BHSK: Tensor, v_BHSK: Tensor, may_attend: Tensor | None, causal: bool, dropout: float
    ) -> Tensor:
        """Return the context (B, H, T, K) alone, as fast as this score can."""
        return self.context_and_weights(q_BHTK, k_BHSK, v_BHSK, may_attend, causal, dropout)[0]

    def context_and_weights(
        self, q_BHTK: Tensor, k_BHSK: Tensor, v_BHSK: Tensor, may_attend: Tensor | None, causal: bool, dropout: float
    ) -> tuple[Tensor, Tensor]:
        """Return the context (B, H, T, K) and the weights (B, H, T, S) before dropout, computed explicitly.

        Raises:
            Refused: if :meth:`forward` returns scores of another shape.
        """
        scores_BHTS = self(q_BHTK, k_BHSK)
        if scores_BHTS.shape != (*q_BHTK.shape[:3], k_BHSK.shape[2]):
            shapes = f"{tuple(scores_BHTS.shape)}, must be (B, H, T, S) = {(*q_BHTK.shape[:3], k_BHSK.shape[2])}"
            raise Refused(f"score {type(self).__name__}: forward returned scores of shape {shapes}")
        if causal:
            may_attend = combine(may_attend, causal_mask(q_BHTK.shape[2], k_BHSK.shape[2], q_BHTK.device))
        weights_BHTS = masked_softmax(scores_BHTS, may_attend)
        return drop_weights(weights_BHTS, dropout) @ v_BHSK, weights_BHTS


def masked_softmax(scores_BHTS: Tensor, may_attend: Tensor | None) -> Tensor:
    """Return the weights; blocked keys get exactly 0, and so does all of a row that may attend to nothing."""
    if may_attend is None:
        return scores_BHTS.softmax(dim=-1)
    # A row of -inf alone would become NaN, forward and backward, so such a row is opened first and zeroed afterwards.
    has_key = may_attend.any(dim=-1, keepdim=True)
    blocked = ~may_attend & has_key
    weights_BHTS = scores_BHTS.masked_fill(blocked, -torch.inf).softmax(dim=-1)
    return weights_BHTS.masked_fill(~has_key, 0.0)


def make_score(score: str | Mapping[str, Any] | PartConfig, heads: int, head_dim: int) -> ScoreFunction:
    """Return a score function by its name, or by a section of its name and settings.

    Raises:
        Refused: for an unknown score, wrong settings, or a score whose class lacks what :class:`ScoreFunction` asks for.
    """
    section = {"name": score} if isinstance(score, str) else score
    settings = dict(section.model_dump() if isinstance(section, PartConfig) else section)
    name = str(settings.get("name"))
    chosen = load("scores", name)
    try:
        checked = chosen.Config.model_validate(settings).model_dump(exclude={"name"})
    except ValidationError as error:
        raise Refused(f"score '{name}': {_first(error)}") from None
    try:
        inspect.signature(chosen).bind(heads, head_dim, **checked)
    except TypeError as error:
        wanted = ", ".join(("heads", "head_dim", *checked))
        raise Refused(f"score '{name}': {chosen.__name__}.__init__ must take ({wanted}): {error}") from None
    made = chosen(heads, head_dim, **checked)
    parameters = [parameter for parameter, _ in made.named_parameters(recurse=False)]
    if parameters and chosen.initial_ is ScoreFunction.initial_:
        raise Refused(
            f"score '{name}': {chosen.__name__} must define initial_ for its parameters {', '.join(parameters)}"
        )
    return made


def _first(error: ValidationError) -> str:
    """Return the first problem of a section in one line: key, value and what would be valid."""
    found = error.errors()[0]
    context: dict[str, Any] = found.get("ctx", {})
    if found["type"] == "unknown_key":
        return f"unknown setting {context['key']}; valid: {context['valid']}"
    key = ".".join(map(str, found["loc"]))
    return f"{key}: {found['msg']}" if found["type"] == "missing" else f"{key}={found['input']}: {found['msg']}"
