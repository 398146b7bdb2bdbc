"""What a model is trained for: one file for each task (``conf/task/``), which names no variant.

base.py     what all tasks share: the LightningModule, its optimizer, its evaluation
pairs.py    what tasks on pairs share: the loss, decoding, baselines
metrics.py  the metrics that tasks choose from
"""

from attncompare import registry
from attncompare.config import RunConfig
from attncompare.data.tokenizer import Tokenizer
from attncompare.tasks.base import Task, TaskConfig


def build_task(config: RunConfig, tokenizer: Tokenizer, source_tokenizer: Tokenizer | None = None) -> Task:
    """Return the task of ``config`` with a fresh model; every initial value follows from the seed.

    Args:
        config: the run.
        tokenizer: of the text, or of the target.
        source_tokenizer: of a source with a vocabulary of its own; None: there is none.
    """
    return registry.load("tasks", config.task.name)(config, tokenizer, source_tokenizer)


__all__ = ["Task", "TaskConfig", "build_task"]
