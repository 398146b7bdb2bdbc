"""What a sweep's ``sweep.yaml`` says: what was asked for each of its runs, also of those that have not been started."""

from collections.abc import Iterable
from pathlib import Path

from attncompare.errors import Refused
from attncompare.text import counted
from attncompare.record.reading import MEBIBYTE, read_inside, safe_yaml
from attncompare.record.record import Run, is_run

SWEEP_FILE = "sweep.yaml"
LARGEST = 64 * MEBIBYTE  # of it: some hundred thousand runs


def not_started(paths: Iterable[str | Path]) -> list[str]:
    """Return a sentence for each sweep in or below ``paths`` of which some runs have no record: they were not started.

    A damaged ``sweep.yaml`` is named instead: the runs beside it can be whole.

    Args:
        paths: folders of runs, of sweeps, or of both at any depth.
    """
    files = {file.resolve(): file for path in map(Path, paths) for file in sorted(path.rglob(SWEEP_FILE))}
    said = []
    for file in files.values():
        try:
            asked = _asked(file)
        except Refused as error:
            said.append(str(error))
            continue
        missing = asked - len({_which(folder) for folder in file.parent.iterdir() if is_run(folder)})
        if missing > 0:
            have = "has" if missing == 1 else "have"
            said.append(
                f"{file.parent}: {missing} of its {counted(asked, 'run')} {have} no record yet; see {SWEEP_FILE}"
            )
    return said


def _which(folder: Path) -> str:
    """Return what tells the runs of a sweep apart: one that failed and was trained again has two folders."""
    try:
        return str(Run.open(folder).summary.get("config_sha256"))
    except Refused:  # a damaged one has been started, too
        return str(folder)


def _asked(file: Path) -> int:
    content = safe_yaml(read_inside(file.parent, file.name, LARGEST), file)
    runs = content.get("runs") if isinstance(content, dict) else None
    if not isinstance(runs, list):
        raise Refused(f"{file}: damaged (it lists no runs)")
    return len(runs)
