"""``attncompare.train`` for Python and notebooks: what the command line takes, and the run as an object."""

import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attncompare.cli.train import compose
from attncompare.config.plain_values import flatten
from attncompare.errors import Refused

if TYPE_CHECKING:
    from attncompare.inference import TrainedRun
    from attncompare.training.run import Shown


def train(
    overrides: Sequence[str] | Mapping[str, Any] = (), *, progress: "Shown | None" = "lines", **settings: Any
) -> "TrainedRun":
    """Train one run and return it, loaded: ``train(["attention=dot", "seed=2"])`` or ``train(attention="dot", seed=2)``.

    Args:
        overrides: as on the command line of ``attncompare train``, or values by their keys, ``{"trainer.max_steps": 100}``.
        progress: how it shows where the run stands, on standard error: ``lines``, ``bar``, or None.
        settings: values by keys without a dot; they count after ``overrides``.

    Raises:
        Refused: if they cannot be composed to the config of one run; nothing was started.
        RunFailed, KeyboardInterrupt: as from :func:`attncompare.training.train`.
    """
    if isinstance(overrides, str):
        raise Refused(f"overrides={overrides}: a list of texts is needed, not one text")
    words = [] if isinstance(overrides, Mapping) else list(overrides)
    values = flatten({**(overrides if isinstance(overrides, Mapping) else {}), **settings})
    words += [f"{key}={_written(value)}" for key, value in values.items()]
    if options := [word for word in words if word.startswith("-")]:
        raise Refused(f"{options[0]}: no option here; one run is trained, and attncompare train -m trains a sweep")
    ((composed, told),) = compose(words)

    from attncompare.config import parse_composed
    from attncompare.inference import load
    from attncompare.training import train as train_run

    def say(text: str) -> None:
        print(text, file=sys.stderr)

    def on_folder(made: Path) -> None:
        say(f"recording in {made}")

    return load(train_run(parse_composed(composed), told, progress=progress, on_folder=on_folder, on_message=say))


def _written(value: Any) -> str:
    """Return ``value`` as Hydra's overrides write it: a text in quotes unless it is a plain word."""
    from hydra.core.override_parser.types import Quote, QuotedString

    if isinstance(value, list | tuple):
        return f"[{','.join(map(_written, value))}]"
    if value is None or isinstance(value, bool | int | float):
        return json.dumps(value)
    text = str(value)
    plain = re.fullmatch(r"[A-Za-z_][\w./-]*", text) and text.lower() not in ("true", "false", "null", "nan", "inf")
    return text if plain else QuotedString(text, Quote.single).with_quotes()
