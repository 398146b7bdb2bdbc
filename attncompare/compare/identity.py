"""Which runs train the same model on the same data, which of two equal runs counts, and what a variant is called."""

from collections.abc import Sequence

from attncompare.compare.checks import is_free
from attncompare.config import RunConfig
from attncompare.config.plain_values import flatten
from attncompare.config.variants import changed_settings, setting, variant_label
from attncompare.record import Run

_DATA = "data"  # no key of a config, all of whose data keys are longer
_MOST_NAMED = 3
_NEVER = ("seed", "name", "notes", "runs", "tags", "tracking.", "compare.", "sweep.")


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
    """Return each config once for each data, and a note for each run that repeats one; the newest record counts.

    A reproduction repeats a run by its nature: it counts only where no other record of its config takes part.
    """

    def written(run: Run) -> int:
        file = run.path / "summary.json"
        return file.stat().st_mtime_ns if file.is_file() else 0

    equal: dict[tuple[str, str, int], list[Run]] = {}
    for run in runs:
        equal.setdefault((run.config.attention.name, model(run), run.config.seed), []).append(run)
    counted, notes = [], []
    for group in equal.values():
        # Of equally new ones the last.
        chosen = max(reversed(group), key=lambda run: (run.reproduces is None, written(run)))
        counted.append(chosen)
        for run in group:
            if run is not chosen and run.reproduces is not None and chosen.reproduces is None:
                notes.append(f"{run.path} is a reproduction of {chosen.path}, and is not counted beside it")
            elif run is not chosen:
                notes.append(
                    f"{run.path} has the config and seed of {chosen.path}, which is newer, and is counted once"
                )
    again = [f"{run.path} of {run.reproduces}" for run in counted if run.reproduces is not None]
    if again:
        more = f" and {len(again) - _MOST_NAMED} more" if len(again) > _MOST_NAMED else ""
        notes.append(f"reproductions, of runs that take no part themselves: {', '.join(again[:_MOST_NAMED])}{more}")
    return counted, notes


def labels(runs: Sequence[Run], hidden: Sequence[str] = (), shown: Sequence[str] = ()) -> list[str]:
    """Return a different label for each of ``runs``: that of its attention, and where several share its name, what differs.

    Args:
        runs: one run of each variant.
        hidden: keys that no label shows, because each variant has one value, which is told elsewhere.
        shown: keys that every label shows where they differ at all, also between variants of different names.
    """
    flats = [{**flatten(run.config.to_dict()), _DATA: fingerprint(run)} for run in runs]
    found = []
    for run, flat in zip(runs, flats, strict=True):
        same_name = [other for other in flats if other["attention.name"] == flat["attention.name"]]
        label = [variant_label(run.config.attention, hidden)]
        # Where there is no yaml to differ from, it differs from the others of its name.
        told = ("attention.",) if changed_settings(run.config.attention) is not None else ()
        for key, value in flat.items():
            beside = flats if is_free(key, shown) else same_name
            # Compared as they are written, as in a model's identity: 0.0 and -0.0 are two settings.
            differs = any(repr(one.get(key)) != repr(value) for one in beside)
            if differs and not is_free(key, (*_NEVER, *hidden, *told)):
                label.append(setting(key, value if key != _DATA else str(value)[:8]))
        found.append(" ".join(label))
    return found
