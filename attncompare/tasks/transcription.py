"""``task=transcription``: an encoder-decoder reads vectors of sound and writes what is said, character by character."""

from typing import Any

from torch import Tensor

from attncompare.data.batches import SpeechBatch
from attncompare.data.tokenizer import PAD
from attncompare.model import Vocabulary
from attncompare.tasks.base import Split
from attncompare.tasks.pairs import PairTask, PairTaskConfig


class Transcription(PairTask):
    """Pairs of sound and text (Chan et al. 2016, with the encoder of the backbone).

    An item is an utterance. Where the data know in which vectors each token is heard, it is measured whether
    cross-attention looks there while it predicts that token, the tokens before it given.
    """

    title = "Transcription"
    data_kind = "speech"
    outputs = (*PairTask.outputs, "aligned_NH", "aligned_items_N")
    abilities = ("transcribe",)

    Config = PairTaskConfig

    @property
    def vocabulary(self) -> Vocabulary:
        """The tokens that the model writes, and the vectors that it reads."""
        features = self.config.data.features
        return Vocabulary(self.tokenizer.vocab_size, self.config.task.max_length, PAD, features=features)

    def evaluate_batch(self, batch: Any, split: Split) -> dict[str, Any]:
        """Return what tasks on pairs do, and of each token with a gold alignment whether attention looks there."""
        return {**super().evaluate_batch(batch, split), **self._alignment(batch)}

    def _alignment(self, batch: SpeechBatch) -> dict[str, Tensor]:
        """Return ``aligned_NH``: whether the place with most attention is a gold one, for each head of each layer."""
        first_BT, last_BT = batch.gold_BT2.unbind(-1)
        known_BT = last_BT > first_BT
        items_N = batch.index_B[:, None].expand_as(known_BT)[known_BT]
        if not len(items_N):
            return {"aligned_NH": known_BT.new_zeros(0, 1), "aligned_items_N": items_N}
        weights = self.model(batch.source_BS, batch.target_BT[:, :-1], need_weights=True).weights
        place_BTH = weights["cross"].argmax(-1).permute(1, 3, 0, 2).flatten(2)
        aligned_BTH = (first_BT[..., None] <= place_BTH) & (place_BTH < last_BT[..., None])
        return {"aligned_NH": aligned_BTH[known_BT], "aligned_items_N": items_N}

    def readable(self, batch: Any) -> list[dict[str, str]]:
        """Return the length and the target of each row as text, special tokens included."""
        sizes = (~batch.source_BS.isnan().any(-1)).sum(1).tolist()
        return [
            {"source": f"{size} vectors", "target": "".join(self.tokenizer.labels(target))}
            for size, target in zip(sizes, batch.target_BT.tolist(), strict=True)
        ]
