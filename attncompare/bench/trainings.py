"""What is trained in benchmarks of training: configs of ordinary runs."""

from collections.abc import Sequence
from pathlib import Path

from hydra import compose, initialize_config_dir

from attncompare.bench.corpora import write_pair_corpus, write_text_corpus
from attncompare.config import CONF_DIR, RunConfig, parse_composed
from attncompare.errors import Refused

TINY = ("backbone.d_model=64", "backbone.layers=1", "backbone.d_ff=256", "data.batch_size=4")
"""A model for tests."""
LARGER = ("backbone.d_model=384", "backbone.layers=6", "backbone.d_ff=1536", "attention.heads=6", "task.max_length=256")
"""The sizes of nanoGPT's settings for a GPU, less its batch."""


def language_model(folder: Path, device: str, overrides: Sequence[str] = ()) -> RunConfig:
    """Return nanoGPT's settings for a CPU: 4 layers, 4 heads, width 128, windows of 64, batches of 12, no dropout.

    Args:
        folder: an empty one, where a corpus of 65 characters is generated.
        device: ``cpu`` or ``cuda``.
        overrides: what shall be different.
    """
    write_text_corpus(folder, characters=200_000)
    splits = ("data.splits.train=train", "data.splits.val=val", "data.splits.test=test")
    fractions = ("data.val_fraction=null", "data.test_fraction=null")
    tokens = ("data.tokenizer.kind=character", "data.tokenizer.vocab_size=null")
    corpus = ("data=text", f"data.path='{folder}'", *splits, *fractions, *tokens)
    settings = ("data.batch_size=12", "attention.heads=4", "task.sample_prompts=[a]", "task.sample_tokens=1")
    return _config(folder, device, "experiment=nanogpt_cpu", *corpus, *settings, *overrides)


def translation(
    folder: Path, device: str, data_path: Path | None, overrides: Sequence[str] = (), pairs: int | None = None
) -> RunConfig:
    """Return Transformer-Tiny (Wu et al. 2021): 4 + 4 layers, 4 heads, width 128, inner width 256, 4,096 tokens a batch.

    Args:
        folder: an empty one, where a corpus is generated if ``data_path`` is None.
        device: ``cpu`` or ``cuda``.
        data_path: the folder of Multi30k.
        overrides: what shall be different.
        pairs: how many are generated for each split; None: as many as Multi30k has.

    Raises:
        Refused: if there is no such folder.
    """
    corpus: tuple[str, ...]
    if data_path is None:
        write_pair_corpus(folder, pairs)
        corpus = ("data=pairs", f"data.path='{folder}'", "data.source=en", "data.target=de", "data.tokenizer.kind=word")
    elif data_path.is_dir():
        corpus = ("data=multi30k", f"data.path='{data_path}'", "data.form=lc.norm.tok", "data.tokenizer.kind=bpe")
    else:
        raise Refused(f"--data-path {data_path}: there is no such folder; give that of Multi30k, or leave it out")
    sizes = ("backbone.d_model=128", "backbone.layers=4", "backbone.d_ff=256", "attention.heads=4")
    settings = ("backbone.dropout=0.3", "task.label_smoothing=0.1", "task.max_length=128", "attention=multihead")
    batches = ("data.batch_size=null", "data.batch_tokens=4096", "data.tokenizer.vocab_size=8000")
    return _config(folder, device, "task=translation", *corpus, *settings, *sizes, *batches, *overrides)


def _config(folder: Path, device: str, *overrides: str) -> RunConfig:
    runs, trainer = f"runs='{folder / 'runs'}'", f"trainer={'gpu' if device == 'cuda' else 'cpu'}"
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        return parse_composed(compose("train", overrides=[runs, trainer, "tracking=disabled", *overrides]))


def default_schedule(folder: Path) -> int:
    """Return after how many steps a run validates and keeps its maps where nobody says otherwise."""
    return _config(folder, "cpu").trainer.validate_every


def in_turns(rounds: int, steps: int) -> tuple[str, ...]:
    """Return the overrides of a run of so many rounds, and one to begin and one to warm up, of ``steps`` steps each.

    A row of metrics is written at the end of each, the only validation after the last.
    """
    last = (rounds + 2) * steps
    return f"trainer.max_steps={last}", f"trainer.validate_every={last}", f"trainer.log_every={steps}"
