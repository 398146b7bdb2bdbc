"""``task=language_model``: a decoder learns the next token of a text."""

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from attncompare.config import LanguageModelConfig, RunConfig
from attncompare.data.batches import TextBatch
from attncompare.data.module import DataModule
from attncompare.data.row_set import RowSet
from attncompare.data.tokenizer import BOS, Tokenizer
from attncompare.decoding import sample
from attncompare.errors import Refused
from attncompare.text import counted
from attncompare.model import DecoderOnly
from attncompare.model.initialize import stable_seed
from attncompare.tasks.base import Task, perplexity

_ANSWERED = 100  # test rows whose answers are kept


class LanguageModel(Task[DecoderOnly]):
    """Cross-entropy of the next token; loss, perplexity, bits per byte and accuracy over every scored token once.

    Args:
        config: the run.
        tokenizer: the tokenizer of the run's data.
        source_tokenizer: None: a text has no source.

    Raises:
        Refused: if a prompt fills the longest sequence already.
    """

    abilities: ClassVar[tuple[str, ...]] = ("generate",)

    def __init__(self, config: RunConfig, tokenizer: Tokenizer, source_tokenizer: Tokenizer | None = None) -> None:
        super().__init__(config, tokenizer, source_tokenizer)
        assert isinstance(config.task, LanguageModelConfig)
        self.prompts = [self._encode_prompt(prompt) for prompt in config.task.sample_prompts]

    def build_model(self) -> DecoderOnly:
        """Return a fresh decoder."""
        return DecoderOnly(self.model_size(), self.make_attention)

    def loss(self, batch: TextBatch) -> tuple[Tensor, int]:
        """Return the cross-entropy, a mean over scored tokens."""
        return self.mean_loss(self.hidden(batch.input_BT), batch.target_BT, batch.scored_BT, smoothing=0.0)

    def evaluate_batch(self, batch: TextBatch, split: str) -> None:  # noqa: ARG002
        """Add the cross-entropy, accuracy and bytes of ``batch``."""
        scored_BT = batch.scored_BT
        logits_NV = self.model(batch.input_BT).logits_BTV[scored_BT].float()
        next_N = batch.target_BT[scored_BT]
        nats_N = F.cross_entropy(logits_NV, next_N, reduction="none")
        self.items.add(batch.item_BT[scored_BT], nats_N, bytes=batch.bytes_BT[scored_BT])
        self.sums["correct"] += int((logits_NV.argmax(-1) == next_N).sum())

    def metrics(self, data: DataModule, split: str) -> dict[str, float]:  # noqa: ARG002
        """Return loss in nats a token, bits a byte of text, and the share of tokens that were the likeliest."""
        return {
            "loss": self.items.mean,
            "perplexity": perplexity(self.items.mean),
            "bits_per_byte": self.items.bits_per("bytes"),
            "token_accuracy": self.sums["correct"] / self.items.total("tokens"),
        }

    def predictions(self, data: DataModule) -> list[dict[str, Any]]:
        """Return answers of the test split where its rows ask for some, else how the model continues the prompts."""
        rows = data.test_dataloader().dataset
        return self._answers(rows) if isinstance(rows, RowSet) else self._continuations()

    @torch.no_grad()
    def _answers(self, rows: RowSet) -> list[dict[str, Any]]:
        """Return what the model takes for the likeliest at the scored places of the first test rows."""
        answers = []
        for row in rows.kept[:_ANSWERED].tolist():
            ids_T = torch.from_numpy(rows.ids[row]).to(self.device)
            scored_T = torch.from_numpy(rows.scored[row]).to(self.device).bool()
            likeliest_T = self.model(ids_T[None, :-1]).logits_BTV[0].argmax(-1)
            texts = {"prompt": ids_T, "reference": ids_T[1:][scored_T], "continuation": likeliest_T[scored_T]}
            answers.append({"id": row, **{key: self.tokenizer.decode(ids.tolist()) for key, ids in texts.items()}})
        return answers

    def _continuations(self) -> list[dict[str, Any]]:
        """Return each configured prompt with its continuation; the same seed gives the same one."""
        config = self.config.task
        assert isinstance(config, LanguageModelConfig)
        generator = Generator().manual_seed(stable_seed(self.config.seed, "samples"))
        rows = []
        for index, ids in enumerate(self.prompts):
            sequence_T = sample(
                self.model,
                torch.tensor(ids, device=self.device),
                config.sample_tokens,
                config.max_length,
                config.sample_temperature,
                generator,
            )
            continuation = self.tokenizer.decode(sequence_T[len(ids) :].tolist())
            rows.append({"id": index, "prompt": config.sample_prompts[index], "continuation": continuation})
        return rows

    def readable(self, batch: TextBatch) -> list[dict[str, str]]:
        """Return each row as text, special tokens included."""
        return [{"text": "".join(self.tokenizer.labels(ids))} for ids in batch.input_BT.tolist()]

    def _encode_prompt(self, prompt: str) -> list[int]:
        ids, longest = [BOS, *self.tokenizer.encode(prompt).ids], self.config.task.max_length
        if len(ids) >= longest:
            raise Refused(
                f"task.sample_prompts: '{prompt}' has {counted(len(ids), 'token')}, which leaves no room to continue it within "
                f"task.max_length={longest}; shorten it"
            )
        return ids

    @torch.no_grad()
    def probe_weights(self, source_ids: list[int] | None, target_ids: list[int]) -> dict[str, Tensor]:
        """Return the weights of one text by site, each (layers, H, T, T)."""
        assert source_ids is None
        weights = self.model(torch.tensor([target_ids[:-1]], device=self.device), need_weights=True).weights
        return {site: weights_LBHTS[:, 0].float().cpu() for site, weights_LBHTS in weights.items()}
