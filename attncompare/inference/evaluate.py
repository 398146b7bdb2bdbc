"""``attncompare evaluate``: the figures of a trained run on other data, or with other weights."""

from pathlib import Path
from typing import Any

from attncompare.config import LanguageModelConfig, RunConfig, parse
from attncompare.config.changes import with_data
from attncompare.data.module import DataModule
from attncompare.errors import Refused
from attncompare.inference.translate import require_outside
from attncompare.tasks.translation import Translation
from attncompare.record import write_json
from attncompare.inference.trained import load


def evaluate(
    path: Path,
    changes: list[str],
    *,
    split: str,
    checkpoint: str | None,
    beam: int | None,
    stride: int | None,
    file: Path | None,
) -> None:
    """Print the metrics of the run in ``path`` on a split of its data, some keys of which may be other ones.

    The tokenizer stays the run's. Nothing is written into the run.

    Args:
        path: the folder of the run.
        changes: ``KEY=VALUE`` each, a key of the config's section ``data``.
        split: ``val`` or ``test``.
        checkpoint: which weights; None: those that the run was tested with.
        beam: width of the search for translations; None: as the run itself was tested.
        stride: ``task.eval_stride`` of a language model; None: that of the run.
        file: where all of it goes as JSON, too; None: nowhere.

    Raises:
        Refused: if a key is none of the data's, the data cannot be had, or an argument does not fit the run.
    """
    trained = load(path, checkpoint)
    config = with_changes(trained.run.config, changes, stride)
    if file is not None:
        require_outside(file, trained, "--json")
    if beam is not None:
        trained.require_beam(beam)
        trained.require_translator().beam = beam
    data = DataModule(config, tokenizers=trained.tokenizers)
    data.prepare()
    metrics = trained.task.evaluate(data, split)
    if isinstance(trained.task, Translation):
        beam = trained.task.beam
    answer = {
        "run": str(path),
        "checkpoint": trained.weights_file,
        "split": split,
        "data": config.to_dict()["data"],
        "fingerprint": data.fingerprint,
        "beam": beam,
        "stride": config.task.eval_stride if isinstance(config.task, LanguageModelConfig) else None,
        "metrics": metrics,
        "signatures": trained.task.signatures(),
    }
    _print(answer, data.report[split]["rows"])
    if file is not None:
        try:
            write_json(file, answer)
        except OSError as error:
            raise Refused(f"--json {file}: cannot write there ({error.strerror})") from None


def with_changes(config: RunConfig, changes: list[str], stride: int | None = None) -> RunConfig:
    """Return ``config`` with other values in its section ``data``, and another stride of evaluation.

    Raises:
        Refused: if a change is not ``KEY=VALUE``, its key none of this data or one of the tokenizer, or a value unfit.
    """
    values = with_data(config.to_dict(), changes)
    if stride is not None:
        if not isinstance(config.task, LanguageModelConfig):
            raise Refused(f"--stride {stride}: task={config.task.name} has sentences, and no windows")
        values["task"]["eval_stride"] = stride
    return parse(values)


def _print(answer: dict[str, Any], rows: int) -> None:
    print(f"{answer['run']}: {answer['split']} of data={answer['data']['name']}, {rows} rows")
    how = (f"{key}: {answer[key]}" for key in ("beam", "stride") if answer[key])
    print(", ".join((f"weights: {answer['checkpoint']}", *how)))
    for name, value in answer["metrics"].items():
        signature = answer["signatures"].get(name)
        print(f"{name:16}{value:12.4f}" + (f"  {signature}" if signature else ""))
