"""A finished record without its bulk: small enough to come with the code, whole enough to be trained again."""

import shutil
from collections.abc import Iterable
from pathlib import Path

from attncompare.errors import Refused
from attncompare.tracking.record import Run
from attncompare.tracking.seal import seal

_KEPT = (
    *("config.yaml", "overrides.yaml", "environment.json", "metrics.csv", "summary.json", "predictions.jsonl"),
    *("losses.jsonl", "tokenizer.json"),
)


def keep_sweep(runs: Iterable[Run], folder: Path) -> list[Run]:
    """Copy the record of each of ``runs`` as :func:`keep` does, into ``folder/<task>-<variant>-s<seed>``.

    Raises:
        Refused: as from :func:`keep`; runs that differ in more than that cannot be told apart by such names.
    """
    return [
        keep(run, folder / f"{run.config.task.name}-{run.config.attention.name}-s{run.config.seed}") for run in runs
    ]


def keep(run: Run, folder: Path) -> Run:
    """Copy the record of ``run`` without weights, maps, log and W&B files into the new ``folder``, and seal it there.

    Raises:
        Refused: if the run is not finished, a file is not what it wrote, or the folder is there already.
    """
    run.require_finished()
    own = () if run.config.data.tokenizer.joint else ("source_tokenizer.json",)
    contents = {name: run.read(name) for name in (*_KEPT, *own)}
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
