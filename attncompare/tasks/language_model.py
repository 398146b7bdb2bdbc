"""``task=language_model``: a decoder learns the next token of a text."""

from typing import Annotated, Any

import torch
import torch.nn.functional as F
from pydantic import AfterValidator, model_validator
from torch import Generator, Tensor

from attncompare.config import RunConfig
from attncompare.config.values import NotNegative, NotNegativeFloat, PositiveOrNull
from attncompare.data.batches import TextBatch
from attncompare.data.tokenizer import BOS, Tokenizer
from attncompare.decoding import sample
from attncompare.errors import Refused
from attncompare.model import stable_seed
from attncompare.tasks.base import Split, Task, TaskConfig
from attncompare.text import counted

_ANSWERED = 100  # test rows whose answers the record shows


def _sees_no_future(causal: bool) -> bool:
    if not causal:
        raise ValueError(
            "a language model that sees the future finds each answer in its input and learns to copy it, so its loss would "
            "mean nothing; leave task.causal=true"
        )
    return causal


class LanguageModel(Task):
    """Cross-entropy of the next token; every scored token counts once.

    Raises:
        Refused: if a prompt fills the longest sequence already.
    """

    title = "Language model"
    data_kind = "text"
    architecture = "decoder_only"
    outputs = ("nats_N", "correct_N", "bytes_N", "items_N")
    fixed_shapes = True
    always_causal = True
    abilities = ("generate",)
    reads_prefix = True

    class Config(TaskConfig):
        """``task=language_model``."""

        eval_stride: PositiveOrNull
        causal: Annotated[bool, AfterValidator(_sees_no_future)]
        sample_prompts: tuple[str, ...]
        sample_tokens: NotNegative
        sample_temperature: NotNegativeFloat

        @model_validator(mode="after")
        def _no_target_is_passed_over(self) -> "LanguageModel.Config":
            if self.eval_stride is not None and self.eval_stride > self.max_length:
                raise ValueError(
                    f"eval_stride={self.eval_stride} is more than max_length={self.max_length}: the windows would leave "
                    "out tokens between them"
                )
            return self

    def __init__(self, config: RunConfig, tokenizer: Tokenizer, source_tokenizer: Tokenizer | None = None) -> None:
        super().__init__(config, tokenizer, source_tokenizer)
        self.prompts = [self._encode_prompt(prompt) for prompt in config.task.sample_prompts]

    def loss(self, batch: TextBatch) -> Tensor:
        """Return the cross-entropy, a mean over scored tokens."""
        return self.mean_loss(self.hidden(batch.input_BT), batch.target_BT, batch.scored_BT)

    def evaluate_batch(self, batch: TextBatch, split: Split) -> dict[str, Any]:
        """Return cross-entropy, accuracy, bytes and item of each scored token."""
        scored_BT = batch.scored_BT
        logits_NV = self.model(batch.input_BT).logits_BTV[scored_BT].float()
        next_N = batch.target_BT[scored_BT]
        return {
            "nats_N": F.cross_entropy(logits_NV, next_N, reduction="none"),
            "correct_N": logits_NV.argmax(-1) == next_N,
            "bytes_N": batch.bytes_BT[scored_BT],
            "items_N": batch.item_BT[scored_BT],
        }

    def predictions(self) -> list[dict[str, Any]]:
        """Return answers of the test split where its rows ask for some, else how the model continues the prompts."""
        rows = self.trainer.datamodule.scored_rows("test", _ANSWERED)
        return self._answers(rows) if rows else self._continuations()

    @torch.no_grad()
    def _answers(self, rows: list[tuple[int, list[int], list[int]]]) -> list[dict[str, Any]]:
        """Return what the model takes for the likeliest at the scored places of some rows."""
        answers = []
        for number, ids, scored in rows:
            ids_T, scored_T = torch.tensor(ids, device=self.device), torch.tensor(scored, device=self.device).bool()
            likeliest_T = self.model(ids_T[None, :-1]).logits_BTV[0].argmax(-1)
            texts = {"prompt": ids_T, "reference": ids_T[1:][scored_T], "continuation": likeliest_T[scored_T]}
            answers.append({"id": number, **{key: self.tokenizer.decode(one.tolist()) for key, one in texts.items()}})
        return answers

    def _continuations(self) -> list[dict[str, Any]]:
        """Return each configured prompt with its continuation; the same seed gives the same one."""
        config = self.config.task
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
        weights = self.model(torch.tensor([target_ids[:-1]], device=self.device), need_weights=True).weights
        return {site: weights_LBHTS[:, 0].float().cpu() for site, weights_LBHTS in weights.items()}
