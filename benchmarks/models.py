"""What is trained in benchmarks, and the peers of equal size that it is trained beside."""

import importlib
import math
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from hydra import compose, initialize_config_dir
from torch import Tensor, nn

from attncompare.config import CONF_DIR, RunConfig, parse_composed
from attncompare.data.batches import PairBatch, TextBatch
from attncompare.data.module import DataModule
from attncompare.data.tokenizer import BOS, EOS, PAD
from attncompare.tasks import build_task
from benchmarks.measure import LeftOut

CHARACTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ \n!$&',-.3:;?"
"""65 of them, as many as Tiny Shakespeare has."""
TINY = ("backbone.d_model=64", "backbone.layers=1", "backbone.d_ff=256", "data.batch_size=4", "data.batch_tokens=null")
"""A model that only shows that a benchmark works."""
_PAIRS = {"train": 29_000, "val": 1_014, "test": 1_000}  # as Multi30k
_WORDS = 8_000
# Words of a sentence of Multi30k (test_2016_flickr.lc.norm.tok.en), which are about normal in their logarithm.
_LOG_MEAN, _LOG_DEVIATION, _SHORTEST, _LONGEST = 2.5, 0.3, 4, 40


def config_of(*overrides: str) -> RunConfig:
    """Return a config of conf/ with overrides; W&B is disabled."""
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        return parse_composed(compose("train", overrides=["tracking=disabled", *overrides]))


def text_corpus(folder: Path, characters: int = 200_000) -> tuple[str, ...]:
    """Write texts of random characters, as many different ones as Tiny Shakespeare has, and return the overrides for them.

    Speed follows from lengths and vocabulary, not from meaning.
    """
    rng = np.random.default_rng(1)
    for split, size in {"train": characters, "val": 2_000, "test": 2_000}.items():
        drawn = rng.integers(len(CHARACTERS), size=size)
        drawn[: len(CHARACTERS)] = np.arange(len(CHARACTERS))  # each at least once
        (folder / f"{split}.txt").write_text("".join(CHARACTERS[place] for place in drawn))
    splits = ("data.splits.train=train", "data.splits.val=val", "data.splits.test=test")
    fractions = ("data.val_fraction=null", "data.test_fraction=null")
    tokens = ("data.tokenizer.kind=character", "data.tokenizer.vocab_size=null")
    return ("data=text", f"data.path='{folder}'", *splits, *fractions, *tokens)


def pair_corpus(folder: Path, pairs: int | None = None) -> tuple[str, ...]:
    """Write pairs of sentences as long as those of Multi30k, and as many unless ``pairs`` says so, and return the overrides."""
    rng = np.random.default_rng(1)
    for split, size in _PAIRS.items():
        rows = pairs or size
        source = np.clip(np.exp(rng.normal(_LOG_MEAN, _LOG_DEVIATION, rows)).round(), _SHORTEST, _LONGEST)
        target = np.clip((source * rng.normal(0.95, 0.15, rows)).round(), _SHORTEST, _LONGEST)
        for ending, lengths in (("en", source), ("de", target)):
            lines = (" ".join(f"w{word}" for word in rng.integers(_WORDS, size=int(length))) for length in lengths)
            (folder / f"{split}.{ending}").write_text("\n".join(lines) + "\n")
    tokens = ("data.tokenizer.kind=word", f"data.tokenizer.vocab_size={'null' if pairs else _WORDS}")
    return ("data=pairs", f"data.path='{folder}'", "data.source=en", "data.target=de", *tokens)


def nanogpt(folder: Path, *overrides: str) -> RunConfig:
    """Return ``experiment=nanogpt_cpu`` on generated characters: 4 layers, 4 heads, width 128, windows of 64, batches of 12."""
    runs = f"runs='{folder / 'runs'}'"
    samples = ("task.sample_prompts=[a]", "task.sample_tokens=1")
    return config_of("experiment=nanogpt_cpu", *text_corpus(folder), "data.batch_size=12", *samples, runs, *overrides)


def multi30k(folder: Path, *overrides: str, pairs: int | None = None) -> RunConfig:
    """Return ``experiment=multi30k`` on generated pairs in fp32: Transformer-Tiny (Wu et al. 2021), 4,096 tokens a batch."""
    runs, batches = f"runs='{folder / 'runs'}'", ("data.batch_size=null", "data.batch_tokens=4096")
    budget = ("trainer.max_time=null", "trainer.average_last=null", "trainer.precision=32-true")
    return config_of("experiment=multi30k", *pair_corpus(folder, pairs), *batches, *budget, runs, *overrides)


def prepared(config: RunConfig) -> tuple[DataModule, Any]:
    """Return the data of a config, and its task with a fresh model, in training mode."""
    data = DataModule(config)
    data.prepare()
    return data, build_task(config, data.tokenizer, data.source_tokenizer).train()


def endless(data: DataModule) -> Iterator[Any]:
    """Return the training batches of epoch 0, again and again."""
    while True:
        yield from data.train_dataloader()


def loop(
    config: RunConfig,
    model: nn.Module,
    loss: Callable[[Any], Tensor],
    optimizers: dict[str, Any],
    batches: Iterator[Any],
) -> Callable[[], None]:
    """Return a training step as one writes it by hand: zero, loss, backward, clip, step, and nothing else.

    Args:
        config: what is trained, and how.
        model: whose parameters are clipped.
        loss: of a batch.
        optimizers: the ``optimizer``, and maybe its ``lr_scheduler``, as LightningModules give them.
        batches: to be trained on, one a step.
    """
    device = next(model.parameters()).device
    optimizer, schedule = optimizers["optimizer"], optimizers.get("lr_scheduler", {}).get("scheduler")
    longest, half = config.optimizer.clip_norm or math.inf, config.trainer.precision == "bf16-mixed"

    def step() -> None:
        batch = next(batches)
        if device.type != "cpu":
            batch = type(batch)(*(x.to(device) if isinstance(x, Tensor) else x for x in batch))
        optimizer.zero_grad()
        with torch.autocast(device.type, torch.bfloat16, enabled=half):
            value = loss(batch)
        value.backward()
        nn.utils.clip_grad_norm_(model.parameters(), longest)
        optimizer.step()
        if schedule is not None:
            schedule.step()

    return step


def peer_optimizers(config: RunConfig, model: nn.Module) -> dict[str, Any]:
    """Return the optimizer of a config for another model: fused AdamW that decays matrices alone."""
    chosen = config.optimizer
    parameters = [p for p in model.parameters() if p.requires_grad]
    matrices, others = ([p for p in parameters if (p.dim() > 1) == wide] for wide in (True, False))
    groups = [{"params": matrices, "weight_decay": chosen.weight_decay}, {"params": others, "weight_decay": 0.0}]
    return {"optimizer": torch.optim.AdamW(groups, lr=chosen.lr, betas=chosen.betas, eps=chosen.eps, fused=True)}


@dataclass(frozen=True)
class Sizes:
    """What a peer is built from. Dropout is on embeddings and on what each sublayer adds, and nowhere else."""

    vocab_size: int
    max_length: int
    d_model: int
    layers: int
    d_ff: int
    heads: int
    dropout: float
    smoothing: float

    @classmethod
    def of(cls, config: RunConfig, vocab_size: int) -> "Sizes":
        """Return those of a run with a vocabulary of that size."""
        backbone, smoothing = config.backbone, getattr(config.task, "label_smoothing", 0.0)
        shape = (backbone.d_model, backbone.layers, backbone.d_ff, config.attention.heads)
        return cls(vocab_size, config.task.max_length, *shape, backbone.dropout, smoothing)


def installed(name: str) -> Any:
    """Return a library of the extra ``bench``, or say by :class:`LeftOut` what installs it."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")  # nothing is fetched: all weights are random
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise LeftOut(f"{name} is not installed ({error.name or error}): pip install 'attncompare[bench]'") from None


def smoothed(logits_BTV: Tensor, batch: PairBatch, smoothing: float) -> Tensor:
    """Return torch's label-smoothed cross-entropy of the next target tokens, without padding."""
    next_N = batch.target_BT[:, 1:].flatten()
    return F.cross_entropy(logits_BTV.float().flatten(0, 1), next_N, ignore_index=PAD, label_smoothing=smoothing)


class _Attention(nn.Module):
    def __init__(self, sizes: Sizes, causal: bool, bias: bool) -> None:
        super().__init__()
        self.heads, self.causal = sizes.heads, causal
        self.projections = nn.Linear(sizes.d_model, 3 * sizes.d_model, bias=bias)
        self.output = nn.Linear(sizes.d_model, sizes.d_model, bias=bias)

    def forward(self, x_BTD: Tensor, mask: Tensor | None = None) -> Tensor:
        q, k, v = self.projections(x_BTD).chunk(3, -1)
        return self._mix(q, k, v, mask)

    def across(self, x_BTD: Tensor, memory_BSD: Tensor, mask: Tensor) -> Tensor:
        width = x_BTD.shape[-1]
        weight, bias = self.projections.weight, self.projections.bias
        k, v = F.linear(memory_BSD, weight[width:], bias[width:]).chunk(2, -1)
        return self._mix(F.linear(x_BTD, weight[:width], bias[:width]), k, v, mask)

    def _mix(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
        q, k, v = (x.unflatten(-1, (self.heads, -1)).transpose(1, 2) for x in (q, k, v))
        context = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=self.causal)
        return self.output(context.transpose(1, 2).flatten(2))


class _Block(nn.Module):
    def __init__(self, sizes: Sizes, *, causal: bool, cross: bool, bias: bool) -> None:
        super().__init__()
        self.norm, self.attention = nn.LayerNorm(sizes.d_model, bias=bias), _Attention(sizes, causal, bias)
        if cross:
            self.cross_norm = nn.LayerNorm(sizes.d_model, bias=bias)
            self.cross_attention = _Attention(sizes, False, bias)
        self.last_norm = nn.LayerNorm(sizes.d_model, bias=bias)
        self.inner = nn.Linear(sizes.d_model, sizes.d_ff, bias=bias)
        self.outer = nn.Linear(sizes.d_ff, sizes.d_model, bias=bias)
        self.dropout = nn.Dropout(sizes.dropout)

    def forward(self, x_BTD: Tensor, memory_BSD: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        x_BTD = x_BTD + self.dropout(self.attention(self.norm(x_BTD), mask if memory_BSD is None else None))
        if memory_BSD is not None:
            assert mask is not None
            x_BTD = x_BTD + self.dropout(self.cross_attention.across(self.cross_norm(x_BTD), memory_BSD, mask))
        return x_BTD + self.dropout(self.outer(F.gelu(self.inner(self.last_norm(x_BTD)))))


class HandwrittenDecoder(nn.Module):
    """A GPT-2 as a plain script has it (after nanoGPT), without biases: torch's layers, attention, dropout and loss."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.tokens = nn.Embedding(sizes.vocab_size, sizes.d_model)
        self.positions = nn.Embedding(sizes.max_length, sizes.d_model)
        self.dropout = nn.Dropout(sizes.dropout)
        self.blocks = nn.ModuleList(_Block(sizes, causal=True, cross=False, bias=False) for _ in range(sizes.layers))
        self.norm = nn.LayerNorm(sizes.d_model, bias=False)
        self.apply(_initialize)

    def loss(self, batch: TextBatch) -> Tensor:
        """Return the mean cross-entropy of the next tokens."""
        places = torch.arange(batch.input_BT.shape[1], device=batch.input_BT.device)
        x_BTD = self.dropout(self.tokens(batch.input_BT) + self.positions(places))
        for block in self.blocks:
            x_BTD = block(x_BTD)
        logits_BTV = F.linear(self.norm(x_BTD), self.tokens.weight)
        return F.cross_entropy(logits_BTV.flatten(0, 1), batch.target_BT.flatten())


class HandwrittenTranslator(nn.Module):
    """Likewise an encoder-decoder with its norms first, sinusoidal positions and one embedding for all."""

    places_TD: Tensor

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.smoothing, self.scale = sizes.smoothing, math.sqrt(sizes.d_model)
        self.tokens = nn.Embedding(sizes.vocab_size, sizes.d_model)
        angles = torch.arange(sizes.max_length)[:, None] / 10_000 ** (torch.arange(0, sizes.d_model, 2) / sizes.d_model)
        self.register_buffer("places_TD", torch.cat((angles.sin(), angles.cos()), dim=1), persistent=False)
        self.dropout = nn.Dropout(sizes.dropout)
        self.encoder = nn.ModuleList(_Block(sizes, causal=False, cross=False, bias=True) for _ in range(sizes.layers))
        self.encoder_norm = nn.LayerNorm(sizes.d_model)
        self.decoder = nn.ModuleList(_Block(sizes, causal=True, cross=True, bias=True) for _ in range(sizes.layers))
        self.decoder_norm = nn.LayerNorm(sizes.d_model)
        self.apply(_initialize)

    def loss(self, batch: PairBatch) -> Tensor:
        """Return the label-smoothed cross-entropy, a mean over target tokens."""
        mask_B11S = (batch.source_BS != PAD)[:, None, None]
        memory_BSD = self.embed(batch.source_BS)
        for block in self.encoder:
            memory_BSD = block(memory_BSD, mask=mask_B11S)
        memory_BSD = self.encoder_norm(memory_BSD)
        x_BTD = self.embed(batch.target_BT[:, :-1])
        for block in self.decoder:
            x_BTD = block(x_BTD, memory_BSD, mask_B11S)
        return smoothed(F.linear(self.decoder_norm(x_BTD), self.tokens.weight), batch, self.smoothing)

    def embed(self, ids_BT: Tensor) -> Tensor:
        """Return vectors (B, T, D) of tokens at their positions."""
        return self.dropout(self.tokens(ids_BT) * self.scale + self.places_TD[: ids_BT.shape[1]])


def _initialize(module: nn.Module) -> None:
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=0.02)


class TorchTransformer(HandwrittenTranslator):
    """The hand-written translator with ``torch.nn.Transformer`` in the place of its blocks."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__(sizes)
        del self.encoder, self.decoder, self.encoder_norm, self.decoder_norm  # torch's stacks bring their own
        shape = {
            "d_model": sizes.d_model,
            "nhead": sizes.heads,
            "dim_feedforward": sizes.d_ff,
            "dropout": sizes.dropout,
        }
        layer: dict[str, Any] = {**shape, "activation": F.gelu, "batch_first": True, "norm_first": True}
        # Its own encoder would be the same, but warns that nested tensors do not go with norms that come first.
        encoder = nn.TransformerEncoder(
            nn.TransformerEncoderLayer(**layer), sizes.layers, nn.LayerNorm(sizes.d_model), enable_nested_tensor=False
        )
        self.stack = nn.Transformer(num_decoder_layers=sizes.layers, custom_encoder=encoder, **layer)
        for module in self.stack.modules():
            if isinstance(module, nn.MultiheadAttention):
                module.dropout = 0.0
            elif isinstance(module, nn.TransformerEncoderLayer | nn.TransformerDecoderLayer):
                module.dropout.p = 0.0  # inside the feed-forward part, where the other models have none

    def loss(self, batch: PairBatch) -> Tensor:
        """Return the label-smoothed cross-entropy, a mean over target tokens."""
        padding_BS, target_BT = batch.source_BS == PAD, batch.target_BT[:, :-1]
        length = target_BT.shape[1]
        # A boolean mask: True where nothing may be seen, as for the padding.
        future_TT = torch.ones(length, length, dtype=torch.bool, device=target_BT.device).triu(1)
        masks = {"src_key_padding_mask": padding_BS, "memory_key_padding_mask": padding_BS, "tgt_mask": future_TT}
        x_BTD = self.stack(self.embed(batch.source_BS), self.embed(target_BT), **masks, tgt_is_causal=True)
        return smoothed(F.linear(x_BTD, self.tokens.weight), batch, self.smoothing)


class Gpt2(nn.Module):
    """Hugging Face's ``GPT2LMHeadModel`` with random weights and fused attention (``sdpa``); its linear maps have biases."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        transformers = installed("transformers")
        shape = {"n_embd": sizes.d_model, "n_layer": sizes.layers, "n_head": sizes.heads, "n_inner": sizes.d_ff}
        drop = {"resid_pdrop": sizes.dropout, "embd_pdrop": sizes.dropout, "attn_pdrop": 0.0}
        rest = {"bos_token_id": None, "eos_token_id": None, "use_cache": False, "attn_implementation": "sdpa"}
        size = {"vocab_size": sizes.vocab_size, "n_positions": sizes.max_length}
        config = transformers.GPT2Config(**size, **shape, **drop, **rest)
        self.model = transformers.GPT2LMHeadModel(config)

    def loss(self, batch: TextBatch) -> Tensor:
        """Return the mean cross-entropy of the batch's own targets, one more than ``labels`` would give."""
        return F.cross_entropy(self.model(input_ids=batch.input_BT).logits.flatten(0, 1), batch.target_BT.flatten())


class XDecoder(nn.Module):
    """x-transformers' ``TransformerWrapper`` around a ``Decoder``: learned positions, tied embedding, fused attention."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        x_transformers = installed("x_transformers")
        shape = {"dim": sizes.d_model, "depth": sizes.layers, "heads": sizes.heads}
        width = {"attn_dim_head": sizes.d_model // sizes.heads, "ff_mult": sizes.d_ff / sizes.d_model}
        drop = {"layer_dropout": 0.0, "attn_dropout": 0.0, "ff_dropout": sizes.dropout}
        layers = x_transformers.Decoder(**shape, **width, **drop, attn_flash=True)
        size = {"num_tokens": sizes.vocab_size, "max_seq_len": sizes.max_length, "emb_dropout": sizes.dropout}
        self.model = x_transformers.TransformerWrapper(**size, tie_embedding=True, attn_layers=layers)

    def loss(self, batch: TextBatch) -> Tensor:
        """Return the mean cross-entropy of the next tokens."""
        return F.cross_entropy(self.model(batch.input_BT).flatten(0, 1), batch.target_BT.flatten())


class Marian(nn.Module):
    """Hugging Face's ``MarianMTModel`` with random weights and fused attention; its norms come last, as Marian has them."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.smoothing = sizes.smoothing
        transformers = installed("transformers")
        layers = {"layers": sizes.layers, "ffn_dim": sizes.d_ff, "attention_heads": sizes.heads}
        both = {f"{side}_{name}": value for side in ("encoder", "decoder") for name, value in layers.items()}
        size = {"vocab_size": sizes.vocab_size, "d_model": sizes.d_model, "max_position_embeddings": sizes.max_length}
        drop = {"dropout": sizes.dropout, "attention_dropout": 0.0, "activation_dropout": 0.0}
        kind = {"activation_function": "gelu", "scale_embedding": True, "attn_implementation": "sdpa"}
        tokens = {"pad_token_id": PAD, "bos_token_id": BOS, "eos_token_id": EOS, "decoder_start_token_id": BOS}
        shared = {"share_encoder_decoder_embeddings": True, "forced_eos_token_id": None}
        config = transformers.MarianConfig(**size, **both, **drop, **kind, **tokens, **shared)
        self.model = transformers.MarianMTModel(config)

    def loss(self, batch: PairBatch) -> Tensor:
        """Return the label-smoothed cross-entropy, a mean over target tokens."""
        ids, mask = batch.source_BS, (batch.source_BS != PAD).long()
        found = self.model(
            input_ids=ids, attention_mask=mask, decoder_input_ids=batch.target_BT[:, :-1], use_cache=False
        )
        return smoothed(found.logits, batch, self.smoothing)

    def translated_lengths(self, source_BS: Tensor, beam: int) -> list[int]:
        """Return how many tokens the best translation of each row has, by ``generate``; each is as long as its source."""
        may_attend_BS = source_BS != PAD
        length_N = may_attend_BS.sum(1).repeat_interleave(beam)

        def end_in_time(ids_NT: Tensor, scores_NV: Tensor) -> Tensor:
            scores_NV[:, EOS] = end_logits(length_N, ids_NT.shape[1], scores_NV.dtype)
            return scores_NV

        # It stops as soon as there are as many hypotheses as beams, as our search does.
        search = {"num_beams": beam, "early_stopping": True, "do_sample": False, "use_cache": True}
        length = {"max_new_tokens": source_BS.shape[1] + 1, "logits_processor": [end_in_time]}
        mask_BS = may_attend_BS.long()
        found_BT = self.model.generate(input_ids=source_BS, attention_mask=mask_BS, **search, **length)
        return ((found_BT == EOS).long().argmax(1)).tolist()  # BOS stands first


def end_logits(length_N: Tensor, read: int, dtype: torch.dtype) -> Tensor:
    """Return the logit of EOS for rows that have read so many tokens, BOS among them, and shall have ``length_N``."""
    return torch.where(length_N <= read, 1e4, -1e4).to(dtype)


def fix_lengths(model: Any) -> Any:
    """Have each translation of our model end when it is as long as its source, and not before; random weights never would."""
    decode = model.decode

    def decode_in_time(target_BT: Tensor, memory_BSD: Tensor, may_attend: Tensor, *rest: Any, **named: Any) -> Any:
        logits_BTV, weights = decode(target_BT, memory_BSD, may_attend, *rest, **named)
        length_S = may_attend.flatten(1).sum(1)  # rows that share a source stand beside each other
        length_B = length_S.repeat_interleave(len(target_BT) // len(length_S))
        read = named.get("start", rest[2] if len(rest) > 2 else 0) + target_BT.shape[1]
        logits_BTV[:, -1, EOS] = end_logits(length_B, read, logits_BTV.dtype)
        return logits_BTV, weights

    model.decode = decode_in_time
    return model


def batches_of(rows: Sequence[Sequence[int]], size: int) -> list[list[list[int]]]:
    """Return token rows in batches of like lengths."""
    ordered = sorted((list(row) for row in rows), key=len, reverse=True)
    return [ordered[begin : begin + size] for begin in range(0, len(ordered), size)]


def padded(rows: Sequence[Sequence[int]]) -> Tensor:
    """Return rows of ids as one tensor, filled up with PAD."""
    return nn.utils.rnn.pad_sequence([torch.tensor(row) for row in rows], batch_first=True, padding_value=PAD)
