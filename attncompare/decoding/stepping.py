"""A translator, one token further at a time, for rows of which several may translate the same source."""

import torch
from torch import Tensor

from attncompare.model.backbones.transformer import EncoderDecoder


class TranslationSteps:
    """Reads the sources once; then each call reads one more target token of every row.

    The rows of one source stand beside each other, as many for each; the projected keys and values of the source are there
    once for all of them.

    Args:
        model: in evaluation mode.
        source_BS: token ids, padded.
    """

    def __init__(self, model: EncoderDecoder, source_BS: Tensor) -> None:
        self.model = model
        self.may_attend = model.source_mask(source_BS)
        self.memory_BSD, _ = model.encode(source_BS, self.may_attend)
        self.caches = model.new_caches()
        self.position = 0

    def logits(self, token_N: Tensor) -> Tensor:
        """Return the logits (N, V), float32 at least, of the token after ``token_N``, the newest of each row."""
        logits_N1V, _ = self.model.decode(
            token_N[:, None], self.memory_BSD, self.may_attend, caches=self.caches, start=self.position
        )
        self.position += 1
        logits_NV = logits_N1V[:, 0]
        return logits_NV.to(torch.promote_types(logits_NV.dtype, torch.float32))

    def keep(self, rows_N: Tensor, sources_B: Tensor | None = None) -> None:
        """Go on with these rows, in this order; one may be named more than once.

        Args:
            rows_N: of those read so far.
            sources_B: the sources that they belong to, of those before, in order; None: all of them.
        """
        if sources_B is not None:
            self.memory_BSD, self.may_attend = self.memory_BSD[sources_B], self.may_attend[sources_B]
        for cache in self.caches:
            cache.self_attention.keep(rows_N)
            if sources_B is not None:
                cache.cross_attention.keep(sources_B)
