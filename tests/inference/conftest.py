import io
import sys

import pytest
from commands import SMOKE, composed_config

WRITER = (
    *("task=language_model", "data=recall", "data.length=24", "data.train_size=80", "data.val_size=20"),
    *("data.test_size=20", "data.batch_size=8", "task.max_length=24", "trainer=smoke", "trainer.threads=1"),
    *("backbone.d_model=16", "backbone.layers=1", "backbone.d_ff=16", "tracking=disabled"),
)


@pytest.fixture(scope="session")
def writer_run(tmp_path_factory):
    """The record of a finished language model, for tests that only read it."""
    from attncompare.training import train

    return train(composed_config(tmp_path_factory.mktemp("writer") / "runs", WRITER), list(WRITER))


@pytest.fixture(scope="session")
def windows_run(tmp_path_factory):
    """The record of a finished model of one long text, read in windows."""
    from attncompare.training import train

    folder = tmp_path_factory.mktemp("windows")
    text = " ".join(f"{number} bottles of milk hang on wall {number % 7}," for number in range(400))
    (folder / "text.txt").write_text(text)
    overrides = [
        "task=language_model",
        "data=text",
        f"data.path={folder / 'text.txt'}",
        "data.tokenizer.kind=character",
        "data.tokenizer.vocab_size=null",
        *WRITER[6:],
    ]
    return train(composed_config(folder / "runs", overrides), overrides)


@pytest.fixture(scope="session")
def translator_run(tmp_path_factory):
    """The record of a finished translator with small texts: it learned for two steps."""
    from attncompare.training import train

    overrides = [*SMOKE, "attention=additive", "attention.heads=3", "tracking=disabled", "task.max_length=12"]
    return train(composed_config(tmp_path_factory.mktemp("translator") / "runs", overrides), overrides)


@pytest.fixture(scope="session")
def filler_run(tmp_path_factory):
    """The record of a masked language model of a text that says each word forty times before the next."""
    from attncompare.training import train

    folder = tmp_path_factory.mktemp("filler")
    words = ["red", "green", "blue", "white", "black", "brown", "pink", "grey"]
    (folder / "text.txt").write_text(" ".join(words[number // 40 % 8] for number in range(4800)))
    overrides = [
        *("task=masked_lm", "data=text", f"data.path={folder / 'text.txt'}", "data.tokenizer.kind=word"),
        *("data.tokenizer.vocab_size=null", "task.max_length=24", "data.batch_size=16", "trainer=cpu"),
        *("trainer.threads=1", "trainer.max_steps=120", "trainer.validate_every=120", "task.pseudo_sentences=2"),
        *("backbone.d_model=32", "backbone.layers=1", "backbone.d_ff=32", "backbone.dropout=0", "tracking=disabled"),
        *("optimizer.lr=1e-2", "optimizer.warmup_steps=20"),
    ]
    return train(composed_config(folder / "runs", overrides), overrides)


@pytest.fixture(scope="session")
def scribe_run(tmp_path_factory):
    """The record of a finished model of Morse code: it learned for two steps."""
    from attncompare.training import train

    overrides = [
        *("task=transcription", "data.train_size=40", "data.val_size=8", "data.test_size=8", "data.batch_size=8"),
        *("trainer=smoke", "trainer.threads=1", "backbone.d_model=16", "backbone.layers=1", "backbone.d_ff=16"),
        *("tracking=disabled", "tracking.probes=2"),
    ]
    return train(composed_config(tmp_path_factory.mktemp("scribe") / "runs", overrides), overrides)


@pytest.fixture
def typed(monkeypatch):
    """Let standard input hold these bytes."""
    return lambda content: monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
