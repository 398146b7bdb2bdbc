"""Which runs train the same model on the same data, and which of two equal runs counts."""

from collections.abc import Sequence

from attncompare.config import RunConfig
from attncompare.record import Run


def model_without_seed(config: RunConfig) -> str:
    """Return what two configs share exactly if they train the same model from different seeds, or from the same."""
    return config.model_copy(update={"seed": 0}).model_identity()


def fingerprint(run: Run) -> str | None:
    """Return the SHA-256 of the data that ``run`` saw; None where its record does not say it."""
    known = run.summary["data"]["fingerprint"]
    return None if known is None else str(known)


def model(run: Run) -> str:
    """Return what two runs share exactly if they train the same model on the same data, from whatever seed."""
    return f"{model_without_seed(run.config)} on {fingerprint(run)}"


def once(runs: Sequence[Run]) -> tuple[list[Run], list[str]]:
    """Return each config once for each data, and a note for each run that repeats one; the newest counts."""
    equal: dict[tuple[str, str, int], list[Run]] = {}
    for run in runs:
        equal.setdefault((run.config.attention.name, model(run), run.config.seed), []).append(run)
    kept, notes = [], []
    for group in equal.values():
        newest = max(reversed(group), key=_written)
        kept.append(newest)
        notes += [
            f"{run.path} has the config and seed of {newest.path}, which is newer, and is counted once"
            for run in group
            if run is not newest
        ]
    return kept, notes


def _written(run: Run) -> int:
    """Return when the record was written, by its file; 0 where there is none. Of equally new ones the last counts."""
    file = run.path / "summary.json"
    return file.stat().st_mtime_ns if file.is_file() else 0
