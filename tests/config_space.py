"""All that a run may be configured to be, as hypothesis strategies: dotted keys and their values."""

from typing import Any, NamedTuple

from commands import base_values, changed
from hypothesis import strategies as st
from variants import VARIANTS

rates = st.sampled_from((0.0, 0.1, 0.5, 0.9))
labels = st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9_.+-]{0,62}\Z")
# What JSON, yaml, tables, pages and file names could each take for something else.
ODD_TEXTS = (
    "null",
    "yes",
    "1e3",
    "~",
    "- a",
    "a: b",
    "#",
    "'",
    '"',
    "\r\n",
    "\x85",
    "\u2028",
    "\ufeff",
    "<script>",
    "=1+1",
)
texts = (st.text(max_size=20) | st.sampled_from(ODD_TEXTS)).filter(
    lambda text: "\0" not in text and "${" not in text and text.encode("utf-8", "ignore").decode() == text
)

COMMON = {
    "attention.heads": st.integers(1, 9),
    "attention.head_dim": st.none() | st.integers(1, 16),
    "attention.causal": st.booleans(),
    "attention.dropout": rates,
    "backbone.d_model": st.integers(1, 33),
    "backbone.layers": st.integers(1, 2),
    "backbone.d_ff": st.integers(1, 20),
    "backbone.dropout": rates,
    "backbone.positions": st.sampled_from(("sinusoidal", "learned")),
    "backbone.scale_embedding": st.booleans(),
    "backbone.bias": st.booleans(),
    "backbone.init": st.sampled_from(("xavier", "gpt2")),
    "optimizer.eps": st.sampled_from((1e-12, 1e-8, 1e-3)),
    "optimizer.decay_embeddings": st.booleans(),
    "optimizer.lr": st.sampled_from((1e-12, 1e-3, 0.1)),
    "optimizer.betas": st.tuples(rates, rates).map(list),
    "optimizer.weight_decay": st.sampled_from((0, 0.1, 1.0)),
    "optimizer.clip_norm": st.sampled_from((None, 1e-6, 1.0)),
    "optimizer.schedule": st.sampled_from(("constant", "cosine", "linear", "inverse_sqrt")),
    "optimizer.warmup_steps": st.sampled_from((0, 1, 2, 1000)),
    "optimizer.min_lr_ratio": st.sampled_from((0, 0.5, 1)),
    "trainer.validate_every": st.integers(1, 4),
    "trainer.log_every": st.integers(1, 3),
    "trainer.max_time": st.none() | st.just(3600.0),
    "trainer.patience": st.none() | st.integers(1, 3),
    "trainer.average_last": st.none() | st.integers(1, 3),
    "trainer.accumulate": st.integers(1, 3),
    "trainer.limit_batches": st.none() | st.integers(1, 3),
    "trainer.precision": st.sampled_from(("32-true", "bf16-mixed")),
    "trainer.deterministic": st.booleans(),
    "trainer.accelerator": st.sampled_from(("cpu", "auto")),
    "tracking.probes": st.integers(0, 2),
    "tracking.images": st.sampled_from((0, 0, 0, 1)),
    "seed": st.integers(0, 2**63 - 1),
    "data_seed": st.integers(0, 2**63 - 1),
    "name": st.none() | labels,
    "tags": st.lists(labels, max_size=2),
    "notes": texts,
}
SMALL = {"trainer.max_steps": 2, "trainer.threads": 1, "tracking.wandb": "disabled"}
SIZES = {"data.val_size": st.integers(4, 12), "data.test_size": st.integers(1, 12)}


def tokenizers(words, characters):
    """Settings of a tokenizer for a corpus of which these are the sure numbers of different words and characters."""
    counts = {"word": words, "character": characters}
    whole = st.sampled_from(sorted(counts)).flatmap(
        lambda kind: st.fixed_dictionaries(
            {
                "data.tokenizer.kind": st.just(kind),
                "data.tokenizer.vocab_size": st.none() | st.integers(5, 4 + counts[kind]),
                "data.tokenizer.min_count": st.sampled_from((1, 1, 2)) if kind == "character" else st.just(1),
            }
        )
    )
    pieces = {
        "data.tokenizer.kind": st.sampled_from(("bpe", "unigram")),
        "data.tokenizer.vocab_size": st.just(260),
        "data.tokenizer.min_count": st.just(1),
        "data.tokenizer.bytes": st.sampled_from((None, True)),
    }
    return whole | st.fixed_dictionaries(pieces)


@st.composite
def reverse(draw):
    """A small corpus of strings, and a translation task."""
    shortest = draw(st.integers(3, 5))
    settings = {
        "data.symbols": st.integers(5, 26),
        "data.min_symbols": st.just(shortest),
        "data.max_symbols": st.integers(shortest, 9),
        "data.train_size": st.integers(40, 60),
        "data.tokenizer.joint": st.booleans(),
        "task.max_length": st.integers(10, 64),
        "task.label_smoothing": rates,
        "task.val_decodes": st.integers(1, 9),
        "task.bleu_tokenize": st.sampled_from(("13a", "intl", "zh", "char", "none")),
        "task.bleu_lowercase": st.booleans(),
    }
    return draw(st.fixed_dictionaries(settings | SIZES)) | draw(tokenizers(30, 4))


@st.composite
def recall(draw):
    """A small corpus of look-ups, and a language model."""
    pairs = draw(st.integers(1, 3))
    settings = {
        "data.pairs": st.just(pairs),
        "data.symbols": st.integers(max(4, 2 * pairs), 12),
        "data.length": st.integers(4 * pairs, 20),
        "data.train_size": st.integers(20, 40),
        "task.max_length": st.integers(64, 80),
        "task.sample_tokens": st.integers(0, 5),
        "task.sample_prompts": st.lists(texts, max_size=2),
        "task.sample_temperature": st.sampled_from((1e-300, 1e-30, 0.8, 1e30)),
    }
    return draw(st.fixed_dictionaries(settings | SIZES)) | draw(tokenizers(2, 3))


pydocs = {  # the docstrings of the standard library, which take seconds to read
    "data.tokenizer.kind": st.sampled_from(("character", "word")),
    "data.tokenizer.vocab_size": st.integers(5, 60),
    "task.max_length": st.integers(2, 20),
    "task.eval_stride": st.none() | st.integers(1, 2),
    "task.sample_tokens": st.integers(0, 5),
    "task.sample_prompts": st.lists(st.text("abc ", max_size=1), max_size=2),
    "task.sample_temperature": st.sampled_from((1e-300, 0.8, 1e30)),
    "trainer.limit_batches": st.integers(1, 2),
}
locale = {  # phrases in two languages, which take seconds to compose
    "data.train_size": st.integers(300, 400),
    "task.max_length": st.integers(64, 128),
    "trainer.limit_batches": st.integers(1, 2),
}
CORPORA = {
    "reverse": ("translation", reverse()),
    "recall": ("language_model", recall()),
    "pydocs": ("language_model", st.fixed_dictionaries(pydocs)),
    "locale": ("translation", st.fixed_dictionaries(locale | SIZES)),
}


class Settings(NamedTuple):
    """What a user would write: ``group=name`` for some groups, ``key=value`` for some keys."""

    groups: tuple[str, ...]
    changes: dict[str, Any]

    def values(self, **changes):
        """Return the whole config as plain containers."""
        return changed(base_values(*self.groups), {**self.changes, **changes})


@st.composite
def valid_settings(draw, corpora):
    """Settings with which two steps must train on one of ``corpora``."""
    corpus = draw(st.sampled_from(corpora))
    task, own = CORPORA[corpus]
    changes = {**draw(st.fixed_dictionaries({}, optional=COMMON)), **draw(own), **SMALL}
    parts = changes.get("trainer.accumulate", 1)  # each needs a row
    changes["data.batch_size"] = draw(st.integers(parts, 9))
    if draw(st.booleans()):
        longest = changes["task.max_length"]
        changes |= {"data.batch_size": None, "data.batch_tokens": draw(st.integers(parts * longest, 5 * longest))}
    return Settings((f"task={task}", f"data={corpus}", f"attention={draw(st.sampled_from(VARIANTS))}"), changes)
