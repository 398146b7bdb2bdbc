"""``task=translation``: an encoder-decoder learns by teacher forcing, and is judged by what it decodes."""

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from sacrebleu.metrics import BLEU, CHRF, TER
from torch import Tensor

from attncompare.config import RunConfig, TranslationConfig
from attncompare.data.batches import PairBatch
from attncompare.data.module import DataModule
from attncompare.data.tokenizer import BOS, EOS, PAD, Tokenizer
from attncompare.decoding import translate_batch
from attncompare.model import EncoderDecoder
from attncompare.tasks.base import Task, perplexity


class Translation(Task[EncoderDecoder]):
    """Label-smoothed cross-entropy; loss, perplexity, token accuracy, exact match, BLEU, chrF and TER.

    Attributes:
        beam: width of the search by which test is translated, from ``task.beam``; val is always decoded greedily.
        length_penalty: of a wider search (:func:`attncompare.decoding.length_penalty_of`), from ``task.length_penalty``.
    """

    abilities: ClassVar[tuple[str, ...]] = ("translate",)

    def __init__(self, config: RunConfig, tokenizer: Tokenizer, source_tokenizer: Tokenizer | None = None) -> None:
        super().__init__(config, tokenizer, source_tokenizer)
        assert isinstance(config.task, TranslationConfig)
        self.beam, self.length_penalty = config.task.beam, config.task.length_penalty

    def build_model(self) -> EncoderDecoder:
        """Return a fresh encoder-decoder."""
        return EncoderDecoder(self.model_size(), self.make_attention, PAD)

    def loss(self, batch: PairBatch) -> tuple[Tensor, int]:
        """Return the cross-entropy with label smoothing (Szegedy et al. 2016, section 7), a mean over target tokens."""
        hidden_BTD = self.hidden(batch.source_BS, batch.target_BT[:, :-1])
        next_BT = batch.target_BT[:, 1:]
        assert isinstance(self.config.task, TranslationConfig)
        return self.mean_loss(hidden_BTD, next_BT, next_BT != PAD, self.config.task.label_smoothing)

    def begin_evaluation(self) -> None:
        """Begin new sums and new hypotheses."""
        super().begin_evaluation()
        self.hypotheses: dict[int, str] = {}

    def evaluate_batch(self, batch: PairBatch, split: str) -> None:
        """Add the cross-entropy and accuracy of ``batch``; decode its sentences (of val the first ``val_decodes``)."""
        logits_BTV = self.model(batch.source_BS, batch.target_BT[:, :-1]).logits_BTV.float()
        next_BT = batch.target_BT[:, 1:]
        is_token_BT = next_BT != PAD
        nats_N = F.cross_entropy(logits_BTV[is_token_BT], next_BT[is_token_BT], reduction="none")
        self.items.add(batch.index_B[:, None].expand_as(next_BT)[is_token_BT], nats_N)
        self.sums["correct"] += int(((logits_BTV.argmax(-1) == next_BT) & is_token_BT).sum())
        assert isinstance(self.config.task, TranslationConfig)
        chosen_B = batch.index_B < self.config.task.val_decodes if split == "val" else batch.index_B >= 0
        if bool(chosen_B.any()):
            texts = self.translate(batch.source_BS[chosen_B], beam=1 if split == "val" else self.beam)
            self.hypotheses.update(zip(batch.index_B[chosen_B].tolist(), texts, strict=True))

    def translate(self, source_BS: Tensor, beam: int) -> list[str]:
        """Return the best translation of each row of token ids that a search of width ``beam`` finds."""
        found = translate_batch(
            *(self.model, source_BS),
            bos=BOS,
            eos=EOS,
            max_length=self.config.task.max_length,
            beam=beam,
            length_penalty=self.length_penalty,
        )
        return [self.tokenizer.decode(best.ids) for best, *_ in found]

    def metrics(self, data: DataModule, split: str) -> dict[str, float]:
        """Return loss in nats a token, and scores of the decoded sentences in percent (BLEU, chrF, TER) or as shares."""
        pairs = data.pairs(split)
        self.decoded = [(index, *pairs[index], text) for index, text in sorted(self.hypotheses.items())]
        references = [reference for _, _, reference, _ in self.decoded]
        hypotheses = [hypothesis for _, _, _, hypothesis in self.decoded]
        assert isinstance(self.config.task, TranslationConfig)
        tokenize = self.config.task.bleu_tokenize
        # Forced where it would warn that the text seems to be cut already: here that is what "none" says.
        bleu = BLEU(tokenize=tokenize, lowercase=self.config.task.bleu_lowercase, force=tokenize == "none")
        self._scores = {"bleu": bleu, "chrf": CHRF(), "ter": TER()}
        exact = sum(hypothesis == reference for hypothesis, reference in zip(hypotheses, references, strict=True))
        return {
            "loss": self.items.mean,
            "perplexity": perplexity(self.items.mean),
            "token_accuracy": self.sums["correct"] / self.items.total("tokens"),
            "exact_match": exact / len(hypotheses),
            **{name: score.corpus_score(hypotheses, [references]).score for name, score in self._scores.items()},
        }

    def signatures(self) -> dict[str, str]:
        """Return sacrebleu's signatures."""
        return {name: str(score.get_signature()) for name, score in self._scores.items()}

    def predictions(self, data: DataModule) -> list[dict[str, Any]]:  # noqa: ARG002
        """Return every decoded test sentence beside its source and reference."""
        return [
            {"id": index, "source": source, "reference": reference, "prediction": prediction}
            for index, source, reference, prediction in self.decoded
        ]

    def readable(self, batch: PairBatch) -> list[dict[str, str]]:
        """Return source and target of each row as text, special tokens included."""
        of_source, of_target = self.source_tokenizer.labels, self.tokenizer.labels
        pairs = zip(batch.source_BS.tolist(), batch.target_BT.tolist(), strict=True)
        return [
            {"source": "".join(of_source(source)), "target": "".join(of_target(target))} for source, target in pairs
        ]

    @torch.no_grad()
    def probe_weights(self, source_ids: list[int] | None, target_ids: list[int]) -> dict[str, Tensor]:
        """Return the weights of one pair by site, each (layers, H, T, S)."""
        assert source_ids is not None
        source_BS = torch.tensor([source_ids], device=self.device)
        target_BT = torch.tensor([target_ids[:-1]], device=self.device)
        weights = self.model(source_BS, target_BT, need_weights=True).weights
        return {site: weights_LBHTS[:, 0].float().cpu() for site, weights_LBHTS in weights.items()}
