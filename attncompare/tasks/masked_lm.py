"""``task=masked_lm``: an encoder learns what stands at masked positions of a text (Devlin et al. 2018)."""

from typing import Annotated, Any

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from attncompare.config import RunConfig
from attncompare.config.values import Positive, must_be
from attncompare.data.batches import TextBatch
from attncompare.data.tokenizer import BOS, EOS, MASK, PAD, SPECIALS, Tokenizer
from attncompare.model import Lengths, stable_seed
from attncompare.tasks.base import Split, Task, TaskConfig

_ANSWERED = 100  # test rows whose answers the record shows
_AT_ONCE = 64  # copies of a row, each with one mask, that the model reads together
_HIDDEN, _RANDOM = 0.8, 0.1  # of the chosen positions: those that show the mask, and those that show another token


class MaskedLm(Task):
    """Cross-entropy of the tokens at chosen positions, most of which the model does not see (Devlin et al. 2018, section 3.1).

    Of a row that is ``mask_share`` of its scored tokens, rounded, at least one, special tokens left out. Of these 80 % are
    replaced by the mask, 10 % by a random token, and 10 % stay. Which and how follows from the row and the order of the data,
    in training also from the epoch: it is the same for all variants and seeds, however a batch is cut.
    """

    title = "Masked language model"
    data_kind = "text"
    architecture = "encoder_only"
    outputs = ("nats_N", "correct_N", "items_N", "pseudo_nats_N", "pseudo_items_N")
    fixed_shapes = True
    abilities = ("fill",)
    specials = (MASK,)

    class Config(TaskConfig):
        """``task=masked_lm``."""

        mask_share: Annotated[float, Field(gt=0, lt=1), must_be("a number between 0 and 1")]
        pseudo_sentences: Positive

    def __init__(self, config: RunConfig, tokenizer: Tokenizer, source_tokenizer: Tokenizer | None = None) -> None:
        super().__init__(config, tokenizer, source_tokenizer)
        self._rows_seen = 0
        self._answers: list[dict[str, Any]] = []

    @classmethod
    def prepared(
        cls, batch: TextBatch, config: RunConfig, tokenizer: Tokenizer, key: tuple[str | int, ...]
    ) -> TextBatch:
        """Return the batch with masks: read is the text that was to be predicted, scored are the chosen positions."""
        text_BT = batch.target_BT.numpy()
        input_BT, chosen_BT = text_BT.copy(), np.zeros(text_BT.shape, dtype=bool)
        may_BT = batch.scored_BT.numpy() & ~np.isin(text_BT, (PAD, BOS, EOS))
        mask = tokenizer.special(MASK)
        for input_T, chosen_T, may_T in zip(input_BT, chosen_BT, may_BT, strict=True):
            places = np.flatnonzero(may_T)
            if not len(places):
                continue
            rng = np.random.default_rng(stable_seed(*key, input_T[input_T != PAD].tolist()))
            places = rng.permutation(places)[: max(1, round(config.task.mask_share * len(places)))]
            drawn = rng.random(len(places))
            hidden, changed = places[drawn < _HIDDEN], places[drawn >= 1 - _RANDOM]
            chosen_T[places], input_T[hidden] = True, mask
            input_T[changed] = rng.integers(len(SPECIALS), mask, len(changed))
        return batch._replace(input_BT=torch.from_numpy(input_BT), scored_BT=torch.from_numpy(chosen_BT))

    def lengths(self, counts: dict[str, Any]) -> Lengths:
        """Return the tokens of a window, and how many of them are chosen."""
        longest = self.config.task.max_length
        return Lengths(longest, self.config.task.mask_share * longest)

    def loss(self, batch: TextBatch) -> Tensor:
        """Return the cross-entropy, a mean over the chosen positions."""
        return self.mean_loss(self.hidden(batch.input_BT), batch.target_BT, batch.scored_BT)

    def on_validation_epoch_start(self) -> None:
        """Begin new sums."""
        super().on_validation_epoch_start()
        self._rows_seen = 0

    def on_test_epoch_start(self) -> None:
        """Begin new sums and answers."""
        super().on_test_epoch_start()
        self._rows_seen, self._answers = 0, []

    def evaluate_batch(self, batch: TextBatch, split: Split) -> dict[str, Any]:
        """Return cross-entropy, accuracy and item of each chosen token, and of each token of the first rows, masked alone."""
        scored_BT = batch.scored_BT
        logits_NV = self._logits(self.model.hidden(batch.input_BT)[scored_BT])
        next_N = batch.target_BT[scored_BT]
        likeliest_N = logits_NV.argmax(-1)
        if split == "test":
            self._answers += self._texts(batch, likeliest_N)[: _ANSWERED - len(self._answers)]
        rows = range(max(0, min(len(scored_BT), self.config.task.pseudo_sentences - self._rows_seen)))
        self._rows_seen += len(scored_BT)
        alone = [self.nats_alone(batch.target_BT[row], batch.item_BT[row]) for row in rows]
        pseudo_nats, pseudo_items = zip(*alone, strict=True) if alone else ((), ())
        return {
            "nats_N": F.cross_entropy(logits_NV, next_N, reduction="none"),
            "correct_N": likeliest_N == next_N,
            "items_N": batch.item_BT[scored_BT],
            "pseudo_nats_N": torch.cat((logits_NV.new_zeros(0), *pseudo_nats)),
            "pseudo_items_N": torch.cat((batch.item_BT.new_zeros(0), *pseudo_items)),
        }

    @torch.no_grad()
    def nats_alone(self, text_T: Tensor, item_T: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``-log P(token | all others)`` of each token of a row (Salazar et al. 2020, equation 1), and its item.

        Special tokens are read and not asked for.
        """
        text_T, item_T = text_T[text_T != PAD], item_T[text_T != PAD]
        places_N = ((text_T != BOS) & (text_T != EOS)).nonzero().flatten()
        nats = [torch.zeros(0, device=self.device)]
        for at_N in places_N.split(_AT_ONCE):
            rows_N = torch.arange(len(at_N), device=self.device)
            copies_NT = text_T.repeat(len(at_N), 1)
            copies_NT[rows_N, at_N] = self.tokenizer.special(MASK)
            logits_NV = self._logits(self.model.hidden(copies_NT)[rows_N, at_N])
            nats.append(F.cross_entropy(logits_NV, text_T[at_N], reduction="none"))
        return torch.cat(nats), item_T[places_N]

    @torch.no_grad()
    def probabilities(self, ids: list[int]) -> Tensor:
        """Return the probability of each token (M, V) at the M masks of a text, in order."""
        source_1T = torch.tensor([ids], device=self.device)
        at_1T = source_1T == self.tokenizer.special(MASK)
        return self._logits(self.model.hidden(source_1T)[at_1T]).softmax(-1)

    def _logits(self, hidden_ND: Tensor) -> Tensor:
        return F.linear(hidden_ND, self.model.output_weight).float()

    def predictions(self) -> list[dict[str, Any]]:
        """Return the first rows of test with their masks, what stood at the chosen positions, and what the model says."""
        return self._answers

    def _texts(self, batch: TextBatch, likeliest_N: Tensor) -> list[dict[str, Any]]:
        """Return each row with its masks, and the tokens at its chosen positions, with spaces between."""
        answers = likeliest_N.split(batch.scored_BT.sum(1).tolist())
        rows: list[dict[str, Any]] = []
        for input_T, target_T, scored_T, answer in zip(*batch[:3], answers, strict=True):
            shown = [one for one in input_T.tolist() if one != EOS]  # where a document ends, and not its text
            reference, found = (self.tokenizer.labels(ids.tolist()) for ids in (target_T[scored_T], answer))
            number = len(self._answers) + len(rows)
            texts = {"text": self.tokenizer.decode(shown), "reference": " ".join(reference)}
            rows.append({"id": number, **texts, "prediction": " ".join(found)})
        return rows

    def readable(self, batch: TextBatch) -> list[dict[str, str]]:
        """Return each row as text with its masks, special tokens included."""
        return [{"text": "".join(self.tokenizer.labels(ids))} for ids in batch.input_BT.tolist()]

    @torch.no_grad()
    def probe_weights(self, source_ids: list[int] | None, target_ids: list[int]) -> dict[str, Tensor]:
        """Return the weights of one text by site, each (layers, H, S, S); of probes nothing is masked."""
        weights = self.model(torch.tensor([source_ids], device=self.device), need_weights=True).weights
        return {site: weights_LBHTS[:, 0].float().cpu() for site, weights_LBHTS in weights.items()}
