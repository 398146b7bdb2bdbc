"""Our translator in forms that only benchmarks need: with lengths that are fixed, and without a cache."""

import torch
from torch import Tensor

from attncompare.data.tokenizer import BOS, EOS
from attncompare.model import EncoderDecoder
from attncompare.model.layers import BlockCache, Weights


class WithFixedLengths(EncoderDecoder):
    """Ends each translation when it is as long as its source, EOS among both: EOS cannot come before, nothing else then."""

    def decode(
        self,
        target_BT: Tensor,
        memory_BSD: Tensor,
        memory_may_attend: Tensor,
        need_weights: bool = False,
        caches: list[BlockCache] | None = None,
        start: int = 0,
    ) -> tuple[Tensor, Weights]:
        """Return what the model says, with the logit of EOS that the length asks for."""
        logits_BTV, weights = super().decode(target_BT, memory_BSD, memory_may_attend, need_weights, caches, start)
        length_S = memory_may_attend.flatten(1).sum(1)  # rows that share a source stand beside each other
        length_B = length_S.repeat_interleave(len(target_BT) // len(length_S))
        logits_BTV[:, -1, EOS] = ends(length_B, start + target_BT.shape[1], logits_BTV.dtype)
        return logits_BTV, weights


def ends(length_N: Tensor, read: int, dtype: torch.dtype) -> Tensor:
    """Return the logit of EOS for rows that have read so many tokens, BOS among them, and shall have ``length_N``."""
    return torch.where(length_N <= read, 1e4, -1e4).to(dtype)


class Recomputing(EncoderDecoder):
    """Can also translate without a cache."""

    @torch.inference_mode()
    def greedy(self, source_BS: Tensor, tokens: int) -> Tensor:
        """Return what greedy search gives, (B, ``tokens``), reading the whole beginning again for each token."""
        may_attend = self.source_mask(source_BS)
        memory_BSD, _ = self.encode(source_BS, may_attend)
        target_BT = torch.full((len(source_BS), 1), BOS, device=source_BS.device)
        for _ in range(tokens):
            hidden_BTD, _ = self._decode(target_BT, memory_BSD, may_attend)
            next_B1 = self.embedding.logits(hidden_BTD[:, -1:]).argmax(-1)
            target_BT = torch.cat((target_BT, next_B1), dim=1)
        return target_BT[:, 1:]
