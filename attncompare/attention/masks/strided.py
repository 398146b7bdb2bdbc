"""The strided pattern of sparse transformers (Child et al. 2019, section 4.2)."""

from torch import Tensor

from attncompare.attention.masks.base import Mask
from attncompare.config.values import PartConfig, Positive


class Strided(Mask):
    """The ``stride`` nearest keys, and of the others every ``stride``-th (Child et al. 2019, section 4.2, both heads in one)."""

    class Config(PartConfig):
        """The step of the pattern; about the root of the length sees everything in two layers."""

        stride: Positive

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def visible(self, query_T1: Tensor, key_1S: Tensor, causal: bool) -> Tensor:  # noqa: ARG002
        """Return (T, S): nearer than ``stride``, or a multiple of it away."""
        apart = query_T1 - key_1S
        return (apart.abs() < self.stride) | (apart % self.stride == 0)
