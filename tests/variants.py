"""Modules and models of the attention variants.

The variants are found by listing conf/attention, so that a new file there is tested without being named here.
"""

import functools
from dataclasses import dataclass

from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from attncompare.attention import Attention
from attncompare.config import CONF_DIR
from attncompare.config.schema import AttentionConfig
from attncompare.data.tokenizer import PAD
from attncompare.model import Vocabulary, initialize
from attncompare.model.backbones.transformer import Transformer

VARIANTS = sorted(file.stem for file in (CONF_DIR / "attention").glob("*.yaml"))


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
    return AttentionConfig.model_validate(OmegaConf.to_container(composed.attention))


def make_attention(variant, d_model, heads=None, **changes):
    config = variant_config(variant)
    arguments = {
        "heads": heads or config.heads,
        "head_dim": config.head_dim,
        "score": config.score,
        "causal": config.causal,
        "dropout": config.dropout,
    }
    return Attention(d_model, **{**arguments, **changes})


def make_encoder_decoder(variant, size, heads=None, seed=1, **changes):
    return _made(Transformer.encoder_decoder, variant, size, heads, seed, changes)


def make_decoder_only(variant, size, heads=None, seed=1, **changes):
    return _made(Transformer.decoder_only, variant, size, heads, seed, changes)


def _made(make, variant, size, heads, seed, changes):
    model = make(size.config, size.vocabulary, lambda: make_attention(variant, size.d_model, heads, **changes))
    initialize(model, seed, size.init)
    return model.eval()
