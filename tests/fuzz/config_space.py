"""All that a run may be configured to be, as hypothesis strategies: dotted keys and their values."""

import copy
import functools
from typing import Any, NamedTuple

from commands import composed_config
from hypothesis import strategies as st

from attncompare.config import CONF_DIR

VARIANTS = sorted(file.stem for file in (CONF_DIR / "attention").glob("*.yaml"))
rates = st.sampled_from((0.0, 0.1, 0.5, 0.9))
flags = st.booleans()
labels = st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9_.+-]{0,62}\Z")
# What JSON, yaml, tables, pages and file names could each take for something else.
ODD_TEXTS = (
    *("null", "yes", "1e3", "~", "- a", "a: b", "#", "'", '"', "\r\n", "\x85", "\u2028", "\ufeff", "<script>", "=1+1"),
    "\t",
)
safe_texts = (st.text(max_size=20) | st.sampled_from(ODD_TEXTS)).filter(
    lambda text: "\0" not in text and "${" not in text and text.encode("utf-8", "ignore").decode() == text
)


def chosen(*values):
    return st.sampled_from(values)


def up_to(most, least=1):
    return st.integers(least, most)


COMMON = {
    **dict.fromkeys(("attention.heads", "data.batch_size"), up_to(9)),
    **dict.fromkeys(("attention.dropout", "backbone.dropout"), rates),
    **dict.fromkeys(("attention.causal", "backbone.scale_embedding", "backbone.bias"), flags),
    **dict.fromkeys(("optimizer.decay_embeddings", "trainer.deterministic"), flags),
    **dict.fromkeys(("seed", "data_seed"), up_to(2**63 - 1, 0)),
    **dict.fromkeys(("trainer.patience", "trainer.average_last", "trainer.limit_batches"), st.none() | up_to(3)),
    **dict.fromkeys(("trainer.log_every", "trainer.accumulate"), up_to(3)),
    "attention.head_dim": st.none() | up_to(16),
    "backbone.d_model": up_to(33),
    "backbone.layers": up_to(2),
    "backbone.d_ff": up_to(20),
    "backbone.positions": chosen("sinusoidal", "learned"),
    "backbone.init": chosen("xavier", "gpt2"),
    "optimizer.eps": chosen(1e-12, 1e-8, 1e-3),
    "optimizer.lr": chosen(1e-12, 1e-3, 0.1),
    "optimizer.betas": st.tuples(rates, rates).map(list),
    "optimizer.weight_decay": chosen(0, 0.1, 1.0),
    "optimizer.clip_norm": chosen(None, 1e-6, 1.0),
    "optimizer.schedule": chosen("constant", "cosine", "linear", "inverse_sqrt"),
    "optimizer.warmup_steps": chosen(0, 1, 2, 1000),
    "optimizer.min_lr_ratio": chosen(0, 0.5, 1),
    "trainer.validate_every": up_to(4),
    "trainer.max_time": chosen(None, 3600.0),
    "trainer.precision": chosen("32-true", "bf16-mixed"),
    "trainer.threads": up_to(2),
    "trainer.accelerator": chosen("cpu", "auto"),
    "tracking.probes": up_to(2, 0),
    "tracking.images": chosen(0, 0, 0, 1),
    "name": st.none() | labels,
    "tags": st.lists(labels, max_size=2),
    "notes": safe_texts,
}  # not trainer.compile, which takes half a minute each time
SMALL = {"trainer.max_steps": 2, "trainer.threads": 1, "tracking.wandb": "disabled"}


@functools.cache
def _base(overrides):
    return composed_config("runs", overrides).to_dict()


def base_values(*overrides):
    """Return the whole config of ``overrides`` as plain containers, to be changed at will."""
    return copy.deepcopy(_base(overrides))


def tokenizers(words, characters):
    """Settings of a tokenizer for a corpus of which these are the sure numbers of different words and characters."""

    def settings(kind, vocab_size, **more):
        own = {"kind": st.just(kind), "vocab_size": vocab_size, "min_count": st.just(1), **more}
        return st.fixed_dictionaries({f"data.tokenizer.{key}": value for key, value in own.items()})

    return st.one_of(
        settings("word", st.none() | up_to(4 + words, 5)),
        settings("character", st.none() | up_to(4 + characters, 5), min_count=chosen(1, 1, 2)),
        *(settings(kind, st.just(260), bytes=chosen(None, True)) for kind in ("bpe", "unigram")),
    )


@st.composite
def reverse(draw):
    """A small corpus of strings, and a translation task."""
    shortest = draw(up_to(5, 3))
    return {
        "data.symbols": draw(up_to(26, 5)),
        "data.min_symbols": shortest,
        "data.max_symbols": draw(up_to(9, shortest)),
        "data.train_size": draw(up_to(60, 40)),
        "data.val_size": draw(up_to(12, 4)),
        "data.test_size": draw(up_to(12)),
        **draw(tokenizers(30, 4)),
        "data.tokenizer.joint": draw(flags),
        "task.max_length": draw(up_to(64, 10)),
        "task.label_smoothing": draw(rates),
        "task.val_decodes": draw(up_to(9)),
        "task.bleu_tokenize": draw(chosen("13a", "intl", "zh", "char", "none")),
        "task.bleu_lowercase": draw(flags),
    }


@st.composite
def recall(draw):
    """A small corpus of look-ups, and a language model."""
    pairs = draw(up_to(3))
    return {
        "data.pairs": pairs,
        "data.symbols": draw(up_to(12, max(4, 2 * pairs))),
        "data.length": draw(up_to(20, 4 * pairs)),
        "data.train_size": draw(up_to(40, 20)),
        "data.val_size": draw(up_to(12, 4)),
        "data.test_size": draw(up_to(12)),
        **draw(tokenizers(2, 3)),
        "task.max_length": draw(up_to(80, 64)),
        "task.sample_tokens": draw(up_to(5, 0)),
        "task.sample_prompts": draw(st.lists(safe_texts, max_size=2)),
        "task.sample_temperature": draw(chosen(1e-300, 1e-30, 0.8, 1e30)),
    }


CORPORA = {"reverse": ("translation", reverse()), "recall": ("language_model", recall())}


class Settings(NamedTuple):
    """What a user would write: ``group=name`` for some groups, ``key=value`` for some keys."""

    groups: tuple[str, ...]
    changes: dict[str, Any]

    def values(self, **changes):
        """Return the whole config as plain containers."""
        values = base_values(*self.groups)
        for key, value in {**self.changes, **changes}.items():
            *sections, name = key.split(".")
            functools.reduce(dict.__getitem__, sections, values)[name] = value
        return values


@st.composite
def valid_settings(draw, corpora):
    """Settings with which two steps must train on one of ``corpora``."""
    corpus = draw(st.sampled_from(corpora))
    task, own = CORPORA[corpus]
    changes = {**draw(st.fixed_dictionaries({}, optional=COMMON)), **draw(own), **SMALL}
    parts = changes.get("trainer.accumulate", 1)  # each needs a row
    changes["data.batch_size"] = max(parts, changes.get("data.batch_size", 4))
    if draw(flags):
        longest = parts * changes["task.max_length"]
        changes |= {"data.batch_size": None, "data.batch_tokens": draw(up_to(4 * longest, longest))}
    return Settings((f"task={task}", f"data={corpus}", f"attention={draw(st.sampled_from(VARIANTS))}"), changes)
