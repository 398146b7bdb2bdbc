"""What a model is trained for: loss, metrics and optimizer of each task; they name no variant.

base.py            what the tasks share: one LightningModule, its optimizer and the sums behind its metrics
item_losses.py     the cross-entropy of an evaluation by sentence, document or row
translation.py     source sentence to target sentence
language_model.py  the next token of a text
compiling.py       the training step as kernels that torch.compile makes
accumulated.py     the batches of one optimizer step
exchange.py        what several processes that share a batch tell each other
schedule.py        learning-rate schedules
"""

from typing import Any

from attncompare.config import RunConfig
from attncompare.data.tokenizer import Tokenizer
from attncompare.tasks.base import Task
from attncompare.tasks.language_model import LanguageModel
from attncompare.tasks.translation import Translation

TASKS: dict[str, type[Task[Any]]] = {"translation": Translation, "language_model": LanguageModel}


def build_task(config: RunConfig, tokenizer: Tokenizer, source_tokenizer: Tokenizer | None = None) -> Task[Any]:
    """Return the task of ``config`` with a fresh model for the vocabulary of ``tokenizer``.

    Every initial value follows from the seed (C5).

    Args:
        config: the run.
        tokenizer: of the text, or of the target.
        source_tokenizer: of a source with a vocabulary of its own; None: there is none.
    """
    return TASKS[config.task.name](config, tokenizer, source_tokenizer)


__all__ = ["TASKS", "Task", "build_task"]
