"""What every backbone's models have in common: sizes, what they return, their attention sites, and what they cost."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple, Protocol, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attncompare import registry
from attncompare.attention import Attention
from attncompare.config.values import PartConfig, Positive
from attncompare.errors import Refused


class MakeAttention(Protocol):
    """Makes the attention module of one place in a model."""

    def __call__(self, site: str = "decoder", layer: int = 1) -> Attention:
        """Return a new module for a site, ``encoder``, ``decoder`` or ``cross``, of a layer, from 1."""


Weights = dict[str, Tensor]
"""Site -> attention weights of all its layers, (layers, B, H, T, S)."""


@dataclass(frozen=True)
class Vocabulary:
    """The tokens that a model reads and writes.

    Attributes:
        target: number V of tokens of the text, or of the target.
        max_length: longest sequence, in tokens.
        pad: the id of padding tokens.
        source: number of tokens of a source with a vocabulary of its own; None: it shares that of the target.
        features: numbers in each vector of a source that is no text, such as a patch of an image or a frame of sound; None:
            it is text. Vectors that only fill up a batch are NaN.
        max_source: longest source, in tokens or vectors; None: ``max_length``.
    """

    target: int
    max_length: int
    pad: int = 0
    source: int | None = None
    features: int | None = None
    max_source: int | None = None


@dataclass(frozen=True)
class Site:
    """A place of attention in a model: its title, and which sequence its queries and keys belong to."""

    title: str
    queries: Literal["source", "target"]
    keys: Literal["source", "target"]


class ModelOutput(NamedTuple):
    """What a model says of every position: logits (B, T, V), and the attention weights by site where they were asked for."""

    logits_BTV: Tensor
    weights: Weights | None


class TextModel(Protocol):
    """A model of text, as a backbone's ``decoder_only`` returns it: a module that predicts the next token.

    Caches are a list of any objects, one for each layer, each with what the layer reads again, and with a method
    ``keep(rows_N, sources_B=None)`` that goes on with some rows of the batch and, unless None, of the memory.
    """

    sites: ClassVar[dict[str, Site]]

    def __call__(
        self, input_BT: Tensor, need_weights: bool = False, caches: list[Any] | None = None, start: int = 0
    ) -> ModelOutput:
        """Return the logits of the token after each position.

        With ``caches``, ``input_BT`` holds only the tokens since the last call, of which the first stands at ``start``.
        """

    def hidden(self, input_BT: Tensor) -> Tensor:
        """Return what logits are made of (B, T, D)."""

    @property
    def output_weight(self) -> Tensor:
        """The matrix (V, D) that makes logits of :meth:`hidden`."""

    def new_caches(self) -> list[Any]:
        """Return empty caches."""

    def forward_flops(self, lengths: "Lengths") -> float:
        """Return the operations of the forward pass over one sequence."""


class EncoderModel(Protocol):
    """A model of whole sequences, as a backbone's ``encoder_only`` returns it: each position sees all others.

    Its input is the source of the :class:`Vocabulary`; where that is no text, vectors (B, S, features) take the place of tokens.
    """

    sites: ClassVar[dict[str, Site]]

    def __call__(self, source_BS: Tensor, need_weights: bool = False) -> ModelOutput:
        """Return the logits (B, S, V) of each position."""

    def hidden(self, source_BS: Tensor) -> Tensor:
        """Return what logits are made of (B, S, D)."""

    @property
    def output_weight(self) -> Tensor:
        """The matrix (V, D) that makes logits of :meth:`hidden`."""

    def source_mask(self, source_BS: Tensor) -> Tensor:
        """Return the mask (B, 1, 1, S) that hides padding."""

    def forward_flops(self, lengths: "Lengths") -> float:
        """Return the operations of the forward pass over one sequence of ``lengths.source``."""


class PairModel(Protocol):
    """A model of pairs, as a backbone's ``encoder_decoder`` returns it: reads a source and predicts a target."""

    sites: ClassVar[dict[str, Site]]

    def __call__(self, source_BS: Tensor, target_BT: Tensor, need_weights: bool = False) -> ModelOutput:
        """Return the logits of the token after each target position."""

    def hidden(self, source_BS: Tensor, target_BT: Tensor) -> Tensor:
        """Return what logits are made of (B, T, D)."""

    @property
    def output_weight(self) -> Tensor:
        """The matrix (V, D) that makes logits of :meth:`hidden`."""

    def source_mask(self, source_BS: Tensor) -> Tensor:
        """Return the mask (B, 1, 1, S) that hides the source's padding."""

    def encode(self, source_BS: Tensor, may_attend: Tensor, need_weights: bool = False) -> tuple[Tensor, Weights]:
        """Return the memory (B, S, D) and the encoder's weights."""

    def decode(
        self,
        target_BT: Tensor,
        memory_BSD: Tensor,
        memory_may_attend: Tensor,
        need_weights: bool = False,
        caches: list[Any] | None = None,
        start: int = 0,
    ) -> tuple[Tensor, Weights]:
        """Return the logits (B, T, V) and the decoder's weights; ``caches`` and ``start`` as for :class:`TextModel`."""

    def new_caches(self) -> list[Any]:
        """Return empty caches."""

    def forward_flops(self, lengths: "Lengths") -> float:
        """Return the operations of the forward pass over one pair."""


class BackboneConfig(PartConfig):
    """What every section ``backbone`` has: the width D, which attention modules share."""

    d_model: Positive


class Backbone:
    """Builds models: a subclass defines ``decoder_only``, ``encoder_only``, ``encoder_decoder``, or several, as static methods.

    Each takes the checked section ``backbone``, the vocabulary, and a function that is called once for each attention module.

    Attributes:
        places: the sites that its models ask attention modules for, by the name of the method that returns the model.
        without_attention: whether there are such models without any attention; then the function may be None.
    """

    Config: ClassVar[type[BackboneConfig]]
    places: ClassVar[dict[str, tuple[str, ...]]] = {
        "decoder_only": ("decoder",),
        "encoder_only": ("encoder",),
        "encoder_decoder": ("encoder", "decoder", "cross"),
    }
    without_attention: ClassVar[bool] = False

    decoder_only: Any = None
    """Returns a :class:`TextModel`; None: there is none."""
    encoder_only: Any = None
    """Returns an :class:`EncoderModel`; None: there is none."""
    encoder_decoder: Any = None
    """Returns a :class:`PairModel`; None: there is none."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.places = {**Backbone.places, **cls.places}

    @staticmethod
    def declared() -> dict[str, Collection[str]]:
        """Return the names that class attributes may have."""
        return {"places": get_args(Architecture)}


Architecture = Literal["decoder_only", "encoder_only", "encoder_decoder"]
_PROTOCOLS = {"decoder_only": TextModel, "encoder_only": EncoderModel, "encoder_decoder": PairModel}


def new_model(
    architecture: Architecture, config: Any, vocabulary: Vocabulary, make_attention: MakeAttention | None
) -> Any:
    """Return a fresh model of the backbone that the section ``config`` names.

    Args:
        architecture: which of the backbone's models: the name of the method that returns it.
        config: the section ``backbone``.
        vocabulary: the tokens.
        make_attention: called once for each attention module; None: the model has none.

    Raises:
        Refused: if the model lacks something.
    """
    backbone = registry.load("backbones", config.name)
    model = getattr(backbone, architecture)(config, vocabulary, make_attention)
    lacking = [
        one for one in dir(_PROTOCOLS[architecture]) if not one.startswith("_") and not hasattr(type(model), one)
    ]
    lacking += ["sites"] * (not hasattr(type(model), "sites"))
    if lacking:
        raise Refused(f"backbone '{config.name}': the class {type(model).__name__} must define {', '.join(lacking)}")
    return model


def is_there(source_BS: Tensor, pad: int) -> Tensor:
    """Return where a source, of tokens (B, S) or vectors (B, S, features), is no padding: boolean (B, S)."""
    return source_BS != pad if source_BS.dim() == 2 else ~source_BS.isnan().any(-1)


def by_layer(weights: Sequence[Tensor]) -> Tensor:
    """Return the weights (B, H, T, S) of layers as one tensor (layers, B, H, T, S); heads that a layer lacks are zero."""
    heads = max(one.shape[1] for one in weights)
    return torch.stack([F.pad(one, (0, 0, 0, 0, 0, heads - one.shape[1])) for one in weights])


@dataclass(frozen=True)
class Lengths:
    """How many tokens a sequence has: S in the source (0 where there is none), T in the target."""

    source: float
    target: float


def parameter_count(model: nn.Module) -> int:
    """Return the number of trained numbers; shared ones count once."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def train_flops_per_token(model: Any, lengths: Lengths) -> float:
    """Return the operations of one training step divided by its target tokens.

    Counted are matrix products (a multiplication and an addition are two) and scores, over whole T x S rectangles
    without saving for masks; embeddings looked up, norms, softmax and element-wise functions are not. The backward pass
    costs twice the forward pass (Kaplan et al. 2020, section 2.1), which for additive scores leaves out what is
    computed again to save memory.
    """
    return 3 * model.forward_flops(lengths) / lengths.target
