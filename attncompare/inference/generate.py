"""``attncompare generate``: a prompt, and what a language model makes of it."""

from pathlib import Path
from typing import Any

from attncompare.inference.lines import harmless
from attncompare.inference.trained import load

SEPARATOR = "---"


def generate(path: Path, prompt: str, checkpoint: str | None, **options: Any) -> None:
    """Print ``prompt`` and its continuation, several of them with a line of three dashes between.

    Args:
        path: the folder of the run.
        prompt: the beginning.
        checkpoint: which weights; None: those that the run was tested with.
        options: as for :meth:`attncompare.inference.trained.TrainedRun.generate`.

    Raises:
        Refused: if the run is no language model, the prompt empty or too long, or an argument cannot be.
    """
    continuations = load(path, checkpoint).generate(prompt, **options)
    print(f"\n{SEPARATOR}\n".join(harmless(prompt + continuation) for continuation in continuations))
