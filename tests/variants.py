"""Modules and models of the attention variants.

The variants are found by listing conf/attention, so that a new file there is tested without being named here.
"""

import functools
import itertools
import json
from dataclasses import dataclass

import yaml
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from attncompare.attention import Attention
from attncompare.config import CONF_DIR
from attncompare.config.schema import AttentionConfig
from attncompare.data.tokenizer import PAD
from attncompare.model import Vocabulary, initialize
from attncompare.model.backbones.transformer import Transformer

VARIANTS = sorted(
    file.stem
    for file in (CONF_DIR / "attention").glob("*.yaml")
    if yaml.safe_load(file.read_text()).get("score", "inherited") is not None
)
"""Of all those that are attention, which leaves out the lack of it."""

SEVERAL = ("additive", "scaled", "multi_query", "latent", "streaming", "rotary", "t5", "random")
"""One for each way in which what a cache holds, or where queries and keys stand, matters to a search."""


@dataclass(frozen=True)
class ModelSize:
    """What a small transformer is made of."""

    vocab_size: int = 13
    max_length: int = 24
    d_model: int = 32
    layers: int = 2
    d_ff: int = 48
    dropout: float = 0.0
    positions: str = "sinusoidal"
    scale_embedding: bool = True
    bias: bool = True
    init: str = "xavier"
    source_vocab_size: int | None = None

    @property
    def config(self):
        """The section ``backbone`` with these sizes."""
        names = ("d_model", "layers", "d_ff", "dropout", "positions", "scale_embedding", "bias", "init")
        return Transformer.Config(name="transformer", **{name: getattr(self, name) for name in names})

    @property
    def vocabulary(self):
        return Vocabulary(self.vocab_size, self.max_length, PAD, self.source_vocab_size)


@functools.cache
def variant_config(variant):
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        composed = compose("train", overrides=[f"attention={variant}"])
    return AttentionConfig.model_validate_json(json.dumps(OmegaConf.to_container(composed.attention)))


def attention_arguments(config):
    """Return what :class:`Attention` takes of a section ``attention`` for one place."""
    return {key: value for key, value in config if key not in ("name", "sites", "layers")}


@functools.cache
def distinct_attentions():
    """Return the arguments of each attention module that some variant has at some place, by a name of both."""
    found, known = {}, set()
    for variant in sorted(VARIANTS, key=lambda name: bool(variant_config(name).sites or variant_config(name).layers)):
        config = variant_config(variant)
        for site, layer in itertools.product((None, *config.sites), (None, *map(int, config.layers))):
            arguments = attention_arguments(config.at(site, layer))
            values = str(arguments)
            if values not in known:
                known.add(values)
                found["-".join(str(part) for part in (variant, site, layer) if part)] = arguments
    return found


def make_attention(variant, d_model, heads=None, site="decoder", layer=1, **changes):
    """Return the module of a variant at one place; with other ``heads``, where its settings go with them."""
    arguments = attention_arguments(variant_config(variant).at(site, layer))
    return Attention(d_model, **{**arguments, "heads": heads or arguments["heads"], **changes}, layer=layer)


def make_encoder_decoder(variant, size, heads=None, seed=1, **changes):
    return _made(Transformer.encoder_decoder, variant, size, heads, seed, changes)


def make_decoder_only(variant, size, heads=None, seed=1, **changes):
    return _made(Transformer.decoder_only, variant, size, heads, seed, changes)


def _made(make, variant, size, heads, seed, changes):
    def attention_of(site="decoder", layer=1):
        return make_attention(variant, size.d_model, heads, site, layer, **changes)

    model = make(size.config, size.vocabulary, attention_of)
    initialize(model, seed, size.init)
    return model.eval()
