"""Modules and models of the attention variants.

The variants are found by listing conf/attention, so that a new file there is tested without being named here.
"""

import functools

from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from attncompare.attention import Attention
from attncompare.config import CONF_DIR, AttentionConfig
from attncompare.data.tokenizer import PAD
from attncompare.model import DecoderOnly, EncoderDecoder, initialize

VARIANTS = sorted(file.stem for file in (CONF_DIR / "attention").glob("*.yaml"))


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
    model = EncoderDecoder(size, lambda: make_attention(variant, size.d_model, heads, **changes), pad=PAD)
    initialize(model, seed)
    return model.eval()


def make_decoder_only(variant, size, heads=None, seed=1, **changes):
    model = DecoderOnly(size, lambda: make_attention(variant, size.d_model, heads, **changes))
    initialize(model, seed)
    return model.eval()
