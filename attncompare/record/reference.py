"""A finished record without its bulk: small enough to come with the code, whole enough to be trained again."""

import json
import shutil
from collections.abc import Iterable
from pathlib import Path

from attncompare.errors import Refused
from attncompare.record.record import Run
from attncompare.record.seal import seal

_KEPT = (
    *("config.yaml", "overrides.yaml", "environment.json", "metrics.csv", "summary.json", "predictions.jsonl"),
    *("losses.jsonl", "tokenizer.json"),
)


_TEXTS = ("source", "reference")  # what predictions repeat of the data


def keep_sweep(runs: Iterable[Run], folder: Path, texts: bool = True) -> list[Run]:
    """Copy the record of each of ``runs`` as :func:`keep` does, into ``folder/<task>-<variant>-s<seed>``.

    Raises:
        Refused: as from :func:`keep`; runs that differ in more than that cannot be told apart by such names.
    """
    return [
        keep(run, folder / f"{run.config.task.name}-{run.config.attention.name}-s{run.config.seed}", texts)
        for run in runs
    ]


def keep(run: Run, folder: Path, texts: bool = True) -> Run:
    """Copy the record of ``run`` without weights, maps, log and W&B files into the new ``folder``, and seal it there.

    Args:
        run: a finished one.
        folder: where there is nothing yet.
        texts: whether predictions keep the sources and references of the data; False for data that must not be copied.

    Raises:
        Refused: if the run is not finished, a file is not what it wrote, or the folder is there already.
    """
    run.require_finished()
    own = () if run.config.data.tokenizer.joint else ("source_tokenizer.json",)
    contents = {name: run.read(name) for name in (*_KEPT, *own)}
    if not texts:
        contents["predictions.jsonl"] = _without_texts(run)
    if folder.exists():
        raise Refused(f"{folder}: is there already; remove it first, or give another name")
    folder.mkdir(parents=True)
    try:
        for name, content in contents.items():
            (folder / name).write_bytes(content)
        seal(folder)
    except BaseException:
        shutil.rmtree(folder)
        raise
    return Run.open(folder)


def _without_texts(run: Run) -> bytes:
    rows = ({key: value for key, value in row.items() if key not in _TEXTS} for row in run.predictions())
    return "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows).encode()
