"""Transformers around the attention module; they know no variant by name and no task.

layers.py           embeddings, positions, feed-forward, and the pre-norm block that both models are made of
encoder_decoder.py  three attention sites: encoder_self, decoder_self, cross
decoder_only.py     one attention site: decoder_self
initialize.py       initial values from seed and parameter name (C5)
cost.py             parameters and floating-point operations
"""

from attncompare.model.decoder_only import DecoderOnly
from attncompare.model.encoder_decoder import EncoderDecoder
from attncompare.model.initialize import initialize
from attncompare.model.layers import ModelOutput, ModelSize

__all__ = ["DecoderOnly", "EncoderDecoder", "ModelOutput", "ModelSize", "initialize"]
