"""Which runs train the same model on the same data, which of two equal runs counts, and what a variant is called."""

from collections.abc import Sequence

from attncompare.compare.checks import TOKENIZER, is_free
from attncompare.config import RunConfig
from attncompare.config.plain_values import flatten
from attncompare.record import Run

_DATA = "data"  # no key of a config, all of whose data keys are longer
_NEVER = ("seed", "name", "notes", "runs", "tags", "tracking.")


def model_without_seed(config: RunConfig, vary: Sequence[str] = ("seed",)) -> str:
    """Return what two configs share exactly if they train the same model from different seeds, or from the same.

    ``vary``: the keys that differ between seeds.
    """
    return config.model_copy(update=dict.fromkeys(vary, 0)).model_identity()


def fingerprint(run: Run) -> str | None:
    """Return the SHA-256 of the data that ``run`` saw; None where its record does not say it."""
    known = run.summary["data"]["fingerprint"]
    return None if known is None else str(known)


def model(run: Run, vary: Sequence[str] = ("seed",)) -> str:
    """Return what two runs share exactly if they train the same model on the same data, from whatever seed."""
    return f"{model_without_seed(run.config, vary)} on {fingerprint(run)}"


def named_seeds(seeds: Sequence[int]) -> str:
    """Return "seed 7", or "seeds 7, 8"."""
    return f"seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}"


def once(runs: Sequence[Run]) -> tuple[list[Run], list[str]]:
    """Return each config once for each data, and a note for each run that repeats one; the newest record counts."""

    def written(run: Run) -> int:
        file = run.path / "summary.json"
        return file.stat().st_mtime_ns if file.is_file() else 0

    equal: dict[tuple[str, str, int], list[Run]] = {}
    for run in runs:
        equal.setdefault((run.config.attention.name, model(run), run.config.seed), []).append(run)
    counted, notes = [], []
    for group in equal.values():
        newest = max(reversed(group), key=written)  # of equally new ones the last
        counted.append(newest)
        notes += [
            f"{run.path} has the config and seed of {newest.path}, which is newer, and is counted once"
            for run in group
            if run is not newest
        ]
    return counted, notes


def labels(runs: Sequence[Run], hidden: Sequence[str] = (), shown: Sequence[str] = ()) -> list[str]:
    """Return a different label for each of ``runs``: its attention's name, and where several share one, what differs.

    Args:
        runs: one run of each variant.
        hidden: keys that no label shows, because each variant has one value, which is told elsewhere.
        shown: keys that every label shows where they differ at all, also between variants of different names.
    """
    flats = [{**flatten(run.config.to_dict()), _DATA: fingerprint(run)} for run in runs]
    found = []
    for flat in flats:
        same_name = [other for other in flats if other["attention.name"] == flat["attention.name"]]
        apart = [
            f"{key.removeprefix('attention.').removeprefix(TOKENIZER)}={value if key != _DATA else str(value)[:8]}"
            for key, value in flat.items()
            if not is_free(key, (*_NEVER, *hidden))
            # Compared as they are written, as in a model's identity: 0.0 and -0.0 are two settings.
            and any(repr(other.get(key)) != repr(value) for other in (flats if is_free(key, shown) else same_name))
        ]
        found.append(" ".join([flat["attention.name"], *apart]))
    return found
