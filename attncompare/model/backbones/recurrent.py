"""``backbone=recurrent``: recurrent models with attention (Bahdanau et al. 2014; Luong et al. 2015), or without it.

Every layer of a decoder attends for itself, through the same module as in transformers; with one layer these are the models
of the papers. Without attention an encoder-decoder is that of Sutskever et al. 2014, and a decoder a recurrent language
model; nothing else changes, and all other parameters begin with the same values.
"""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import model_validator
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from attncompare.attention import KeyValueCache, padding_mask
from attncompare.attention.kernels.dropout import add_dropout
from attncompare.config.values import Positive, Probability
from attncompare.errors import Refused
from attncompare.model.base import (
    Backbone,
    BackboneConfig,
    Lengths,
    MakeAttention,
    ModelOutput,
    Site,
    Vocabulary,
    Weights,
    by_layer,
)

State = tuple[Tensor, ...]
"""What a step leaves to the next: the hidden state (B, D), and of an LSTM the cell state (B, D)."""


class RecurrentConfig(BackboneConfig):
    """``backbone``: the same sizes in encoder and decoder."""

    layers: Positive
    cell: Literal["gru", "lstm"]
    attend: Literal["before", "after"]
    input_feeding: bool
    dropout: Probability

    @model_validator(mode="after")
    def _fits_together(self) -> "RecurrentConfig":
        if self.d_model % 2:
            raise ValueError(f"d_model={self.d_model}: must be even, as half of an encoder state reads each way")
        if self.input_feeding and self.attend == "before":
            raise ValueError(
                "input_feeding=true with attend=before: a context enters each step already; valid with attend=after"
            )
        return self

    @property
    def stepwise(self) -> bool:
        """Whether a step waits for the attention of the one before, so that no more than one can be computed at once."""
        return self.input_feeding or self.attend == "before"


class Recurrent(Backbone):
    """Builds the two models of this backbone, with attention and without."""

    Config = RecurrentConfig
    places: ClassVar = {"decoder_only": ("decoder",), "encoder_decoder": ("cross",)}
    without_attention: ClassVar = True

    @staticmethod
    def decoder_only(config: RecurrentConfig, size: Vocabulary, make_attention: MakeAttention | None) -> "DecoderOnly":
        """Return a decoder for text, whose states attend to those before them (Daniluk et al. 2017).

        Raises:
            Refused: if a step is to wait for attention.
        """
        _require_after(config, "a language model's states attend to each other, after they are computed")
        return DecoderOnly(config, size, make_attention)

    @staticmethod
    def encoder_decoder(
        config: RecurrentConfig, size: Vocabulary, make_attention: MakeAttention | None
    ) -> "EncoderDecoder":
        """Return an encoder-decoder for pairs of sentences.

        Raises:
            Refused: if a step is to wait for attention and there is none.
        """
        if make_attention is None:
            _require_after(config, "without attention there is no context for it")
        return EncoderDecoder(config, size, make_attention)


def _require_after(config: RecurrentConfig, why: str) -> None:
    if config.stepwise:
        key = "input_feeding=true" if config.input_feeding else "attend=before"
        raise Refused(f"backbone.{key}: {why}; valid: backbone.attend=after backbone.input_feeding=false")


@dataclass
class LayerCache:
    """What a decoder layer goes on from: its state, its newest output, and the keys and values of its attention.

    ``own`` says that they are those of its own states, which belong to rows of the batch, and not those of a memory.
    """

    own: bool
    state: State | None = None
    output_BD: Tensor | None = None
    attention: KeyValueCache | None = field(default_factory=KeyValueCache)

    def keep(self, rows_N: Tensor, sources_B: Tensor | None = None) -> None:
        """Go on with these rows of the batch and, unless None, these rows of the memory; one may be named more than once."""
        if self.state is not None:
            self.state = tuple(one_BD.index_select(0, rows_N) for one_BD in self.state)
        if self.output_BD is not None:
            self.output_BD = self.output_BD.index_select(0, rows_N)
        kept = rows_N if self.own else sources_B
        if self.attention is not None and kept is not None:
            self.attention.keep(kept)


@dataclass(frozen=True)
class Memory:
    """What an encoder read: (B, S, D), and the mask (B, 1, 1, S) of its padding."""

    x_BSD: Tensor
    may_attend: Tensor

    def last(self) -> Tensor:
        """Return the last state of each direction (B, D): the one that reads backwards ends at the first token."""
        end_B = self.may_attend[:, 0, 0].sum(-1) - 1
        row_B = torch.arange(len(end_B), device=end_B.device)
        forward_BD, backward_BD = self.x_BSD[row_B, end_B], self.x_BSD[:, 0]
        half = self.x_BSD.shape[2] // 2
        return torch.cat((forward_BD[:, :half], backward_BD[:, half:]), dim=1)


class Embedding(nn.Module):
    """Tokens to vectors, times sqrt(D), and with the same matrix vectors to logits (Press and Wolf 2017)."""

    def __init__(self, config: RecurrentConfig, tokens: int) -> None:
        super().__init__()
        self.tokens = nn.Embedding(tokens, config.d_model)
        self.scale, self.dropout = math.sqrt(config.d_model), config.dropout

    def forward(self, tokens_BT: Tensor) -> Tensor:
        """Return the vectors (B, T, D)."""
        return add_dropout(None, self.tokens(tokens_BT) * self.scale, self.dropout if self.training else 0.0)


class EncoderLayer(nn.Module):
    """Reads a sequence both ways (Schuster and Paliwal 1997), each with states of width D/2."""

    def __init__(self, config: RecurrentConfig) -> None:
        super().__init__()
        self.recurrent = _recurrent(config, config.d_model // 2, bidirectional=True)
        self.dropout = config.dropout

    def forward(self, x_BSD: Tensor, lengths_B: Tensor) -> Tensor:
        """Return the states (B, S, D) of each direction beside each other; 0 behind the ends, which neither reads."""
        packed = pack_padded_sequence(x_BSD, lengths_B, batch_first=True, enforce_sorted=False)
        states_BSD, _ = pad_packed_sequence(self.recurrent(packed)[0], batch_first=True, total_length=x_BSD.shape[1])
        return add_dropout(None, states_BSD, self.dropout if self.training else 0.0)


class DecoderLayer(nn.Module):
    """A recurrent layer and what its states attend to: ``tanh(W h_t + c_t)`` with the state h and the attention's output c.

    That is the attentional vector of Luong et al. 2015, equation 5, the attention's output projection being the part of
    its matrix that reads the context. Without attention it is ``tanh(W h_t)``.

    Args:
        config: the sizes.
        make_attention: None: there is no attention.
        site: of the attention; ``cross``: over a memory, else over the layer's own states.
        layer: its number, from 1.
    """

    def __init__(self, config: RecurrentConfig, make_attention: MakeAttention | None, site: str, layer: int) -> None:
        super().__init__()
        self.config, self.reads_memory = config, site == "cross"
        self.recurrent = _recurrent(config, config.d_model)
        self.state = nn.Linear(config.d_model, config.d_model)
        self.attention = None if make_attention is None else make_attention(site, layer)
        if self.attention is not None and not self.reads_memory:
            self.attention.causal = True
        states, gates = {"gru": (1, 3), "lstm": (2, 4)}[config.cell]
        if self.reads_memory:  # Bahdanau et al. 2014, appendix A.2.2: the first state is made of the encoder's last
            self.begin = nn.Linear(config.d_model, states * config.d_model)
        if config.stepwise:
            self.fed = nn.Linear(config.d_model, gates * config.d_model, bias=False)

    def forward(
        self,
        x_BTD: Tensor,
        memory: Memory | None = None,
        need_weights: bool = False,
        cache: LayerCache | None = None,
        start: int = 0,
    ) -> tuple[Tensor, Tensor | None]:
        """Return what the layer gives (B, T, D), and the weights or ``None``.

        A memory may have fewer rows than ``x_BTD``, each for as many neighbouring rows, such as the beams of a sentence.
        ``start`` is the position of the first query.
        """
        # For this call alone, so that a memory is projected once for all steps. States at once need none of their own.
        cache = cache or LayerCache(not self.reads_memory, attention=KeyValueCache() if self.reads_memory else None)
        state = self._first(memory, len(x_BTD)) if cache.state is None else cache.state

        def attend(query_BTD: Tensor, start: int) -> tuple[Tensor | float, Tensor | None]:
            return self._attend(query_BTD, memory, need_weights, cache.attention, start)

        if self.config.stepwise:
            output_BTD, weights, cache.state, cache.output_BD = self._by_steps(
                x_BTD, state, cache.output_BD, attend, start
            )
        else:
            states_BTD, cache.state = self._at_once(x_BTD, state)
            context_BTD, weights = attend(states_BTD, start)
            output_BTD = torch.tanh(self.state(states_BTD) + context_BTD)
        return add_dropout(None, output_BTD, self.config.dropout if self.training else 0.0), weights

    def flops(self, positions: float, memory: float | None = None) -> float:
        """Return the operations of a forward pass over so many positions, and a memory of so many."""
        total = positions * (_step_flops(self.recurrent) + 2 * self.state.weight.numel())
        if self.config.stepwise:
            total += 2 * positions * self.fed.weight.numel()
        if self.reads_memory:
            total += 2 * self.begin.weight.numel()
        return total if self.attention is None else total + self.attention.flops(positions, memory or positions)

    def _first(self, memory: Memory | None, rows: int) -> State | None:
        """Return the state before the first step; None: zeros."""
        if memory is None:
            return None
        begun_BX = torch.tanh(self.begin(memory.last())).repeat_interleave(rows // len(memory.x_BSD), dim=0)
        return begun_BX.split(self.config.d_model, dim=1)

    def _at_once(self, x_BTD: Tensor, state: State | None) -> tuple[Tensor, State]:
        """Return all states (B, T, D), and the last."""
        first: Any = None
        if state is not None:
            first = tuple(one_BD[None].to(x_BTD.dtype).contiguous() for one_BD in state)
        lstm = self.config.cell == "lstm"
        states_BTD, last = self.recurrent(x_BTD, first if first is None or lstm else first[0])
        return states_BTD, tuple(one_1BD[0] for one_1BD in (last if lstm else (last,)))

    def _by_steps(
        self,
        x_BTD: Tensor,
        state: State | None,
        output_BD: Tensor | None,
        attend: Callable[[Tensor, int], tuple[Any, Tensor | None]],
        start: int,
    ) -> tuple[Tensor, Tensor | None, State, Tensor]:
        """Return what each step gives (B, T, D), the weights, the last state and the last output."""
        assert state is not None
        recurrent: Any = self.recurrent
        before = self.config.attend == "before"
        cell: Any = torch.lstm_cell if self.config.cell == "lstm" else torch.gru_cell
        weight = torch.cat((recurrent.weight_ih_l0, self.fed.weight), dim=1)
        others = (recurrent.weight_hh_l0, recurrent.bias_ih_l0, recurrent.bias_hh_l0)
        outputs, weights = [], []
        fed_BD = torch.zeros_like(state[0]) if output_BD is None else output_BD
        for step, x_BD in enumerate(x_BTD.unbind(1), start):
            if before:
                context_B1D, weights_BHTS = attend(state[0][:, None], step)
                fed_BD = context_B1D[:, 0]
            read_BX = torch.cat((x_BD, fed_BD), dim=1)
            state = (
                cell(read_BX, state, weight, *others) if len(state) > 1 else (cell(read_BX, *state, weight, *others),)
            )
            if not before:
                context_B1D, weights_BHTS = attend(state[0][:, None], step)
            fed_BD = torch.tanh(self.state(state[0]) + context_B1D[:, 0])
            outputs.append(fed_BD)
            weights.append(weights_BHTS)
        all_weights = None if weights[0] is None else torch.cat(weights, dim=2)  # type: ignore[arg-type]
        return torch.stack(outputs, dim=1), all_weights, state, fed_BD

    def _attend(
        self, query_BTD: Tensor, memory: Memory | None, need_weights: bool, cache: KeyValueCache | None, start: int
    ) -> tuple[Tensor | float, Tensor | None]:
        if self.attention is None:
            return 0.0, None
        if memory is None:
            return self.attention(query_BTD, need_weights=need_weights, cache=cache)
        # Rows that share a memory are queries beside each other: its keys and values are there once for all of them.
        context_BTD, weights_BHTS = self.attention(
            query_BTD.reshape(len(memory.x_BSD), -1, query_BTD.shape[2]),
            memory.x_BSD,
            may_attend=memory.may_attend,
            need_weights=need_weights,
            cache=cache,
            start=start,
            beside=len(query_BTD) // len(memory.x_BSD),
        )
        return context_BTD.view_as(query_BTD), weights_BHTS


def _recurrent(config: RecurrentConfig, width: int, bidirectional: bool = False) -> nn.GRU | nn.LSTM:
    kind = nn.LSTM if config.cell == "lstm" else nn.GRU
    return kind(config.d_model, width, batch_first=True, bidirectional=bidirectional)


def _step_flops(recurrent: nn.RNNBase) -> int:
    """Return the operations of one step: those of its matrices."""
    return sum(2 * one.numel() for one in recurrent.parameters() if one.ndim == 2)


class DecoderOnly(nn.Module):
    """Says of each position which token comes next, given the tokens up to there.

    Args:
        config: the sizes; input and output share one embedding.
        size: of the vocabulary.
        make_attention: called once for each layer; None: there is no attention.
    """

    def __init__(self, config: RecurrentConfig, size: Vocabulary, make_attention: MakeAttention | None) -> None:
        super().__init__()
        self.embedding = Embedding(config, size.target)
        self.decoder = _decoder(config, make_attention, "decoder")

    @property
    def sites(self) -> dict[str, Site]:
        """The attention sites: none without attention."""
        site = Site("attention to earlier states", queries="target", keys="target")
        return {} if self.decoder[0].attention is None else {"decoder_self": site}

    def forward(
        self, input_BT: Tensor, need_weights: bool = False, caches: list[LayerCache] | None = None, start: int = 0
    ) -> ModelOutput:
        """Return the logits (B, T, V) of the token after each position.

        With ``caches`` (see :meth:`new_caches`), ``input_BT`` holds only the tokens since the last call, of which the
        first stands at position ``start``.
        """
        x_BTD, weights = _read(self, self.embedding(input_BT), None, need_weights, caches, start)
        return ModelOutput(F.linear(x_BTD, self.output_weight), weights if need_weights else None)

    @property
    def output_weight(self) -> Tensor:
        """The matrix (V, D) that makes logits of :meth:`hidden`."""
        return self.embedding.tokens.weight

    def hidden(self, input_BT: Tensor) -> Tensor:
        """Return what the logits are made of (B, T, D): what the last layer gives."""
        return _read(self, self.embedding(input_BT))[0]

    def new_caches(self) -> list[LayerCache]:
        """Return empty caches, one for each layer."""
        return [LayerCache(own=True) for _ in self.decoder]

    def forward_flops(self, lengths: Lengths) -> float:
        """Return the operations of the forward pass over one sequence (:func:`attncompare.model.base.train_flops_per_token`)."""
        logits = 2 * lengths.target * self.output_weight.numel()
        return logits + sum(layer.flops(lengths.target) for layer in self.decoder)


class EncoderDecoder(nn.Module):
    """Reads a source sequence both ways and says of each target position which token comes next.

    Args:
        config: the sizes; target and output share one embedding, and so does the source unless it has a vocabulary of
            its own.
        size: of the vocabularies.
        make_attention: called once for each decoder layer; None: there is no attention.
    """

    def __init__(self, config: RecurrentConfig, size: Vocabulary, make_attention: MakeAttention | None) -> None:
        super().__init__()
        self.pad = size.pad
        self.embedding = Embedding(config, size.target)
        if size.source is not None:
            self.source_embedding = Embedding(config, size.source)
        self.encoder: Any = nn.ModuleList(EncoderLayer(config) for _ in range(config.layers))
        self.decoder = _decoder(config, make_attention, "cross")

    @property
    def sites(self) -> dict[str, Site]:
        """The attention sites: none without attention."""
        site = Site("cross-attention", queries="target", keys="source")
        return {} if self.decoder[0].attention is None else {"cross": site}

    def forward(self, source_BS: Tensor, target_BT: Tensor, need_weights: bool = False) -> ModelOutput:
        """Return the logits (B, T, V) of the token after each target position, given the target up to there."""
        may_attend = self.source_mask(source_BS)
        memory_BSD, _ = self.encode(source_BS, may_attend)
        logits_BTV, weights = self.decode(target_BT, memory_BSD, may_attend, need_weights)
        return ModelOutput(logits_BTV, weights if need_weights else None)

    @property
    def output_weight(self) -> Tensor:
        """The matrix (V, D) that makes logits of :meth:`hidden`."""
        return self.embedding.tokens.weight

    def hidden(self, source_BS: Tensor, target_BT: Tensor) -> Tensor:
        """Return what the logits are made of (B, T, D): what the last decoder layer gives."""
        may_attend = self.source_mask(source_BS)
        memory_BSD, _ = self.encode(source_BS, may_attend)
        return _read(self, self.embedding(target_BT), Memory(memory_BSD, may_attend))[0]

    def source_mask(self, source_BS: Tensor) -> Tensor:
        """Return the mask (B, 1, 1, S) that hides the source's padding."""
        return padding_mask(source_BS != self.pad)

    def encode(self, source_BS: Tensor, may_attend: Tensor, need_weights: bool = False) -> tuple[Tensor, Weights]:
        """Return the memory (B, S, D); an encoder of this backbone has no attention, so no weights."""
        embedding = self.source_embedding if hasattr(self, "source_embedding") else self.embedding
        x_BSD, lengths_B = embedding(source_BS), may_attend[:, 0, 0].sum(-1).cpu()
        for layer in self.encoder:
            x_BSD = layer(x_BSD, lengths_B)
        return x_BSD, {}

    def decode(
        self,
        target_BT: Tensor,
        memory_BSD: Tensor,
        memory_may_attend: Tensor,
        need_weights: bool = False,
        caches: list[LayerCache] | None = None,
        start: int = 0,
    ) -> tuple[Tensor, Weights]:
        """Return the logits (B, T, V) and the decoder's weights.

        With ``caches`` (see :meth:`new_caches`), ``target_BT`` holds only the tokens since the last call, of which the
        first stands at position ``start``.
        """
        memory = Memory(memory_BSD, memory_may_attend)
        x_BTD, weights = _read(self, self.embedding(target_BT), memory, need_weights, caches, start)
        return F.linear(x_BTD, self.output_weight), weights

    def new_caches(self) -> list[LayerCache]:
        """Return empty caches, one for each decoder layer."""
        return [LayerCache(own=False) for _ in self.decoder]

    def forward_flops(self, lengths: Lengths) -> float:
        """Return the operations of the forward pass over one pair (:func:`attncompare.model.base.train_flops_per_token`)."""
        logits = 2 * lengths.target * self.output_weight.numel()
        encoder = sum(lengths.source * _step_flops(layer.recurrent) for layer in self.encoder)
        return logits + encoder + sum(layer.flops(lengths.target, lengths.source) for layer in self.decoder)


def _decoder(config: RecurrentConfig, make_attention: MakeAttention | None, site: str) -> Any:
    return nn.ModuleList(DecoderLayer(config, make_attention, site, layer) for layer in range(1, config.layers + 1))


def _read(
    model: DecoderOnly | EncoderDecoder,
    x_BTD: Tensor,
    memory: Memory | None = None,
    need_weights: bool = False,
    caches: list[LayerCache] | None = None,
    start: int = 0,
) -> tuple[Tensor, Weights]:
    """Return what the last layer of a model's decoder gives (B, T, D), and the weights by site."""
    weights = []
    for layer, cache in zip(model.decoder, caches or itertools.repeat(None, len(model.decoder)), strict=True):
        x_BTD, of_layer = layer(x_BTD, memory, need_weights, cache, start)
        weights.append(of_layer)
    return x_BTD, {site: by_layer(weights) for site in model.sites} if need_weights else {}
