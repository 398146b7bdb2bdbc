"""Which runs train the same model on the same data, which of two equal runs counts, and what a variant is called."""

from collections import Counter
from collections.abc import Sequence
from itertools import takewhile

from attncompare.compare.checks import TOKENIZER, implied_keys, is_free
from attncompare.config import RunConfig
from attncompare.config.plain_values import flatten
from attncompare.config.schema import CHOSEN
from attncompare.config.variants import short_keys, variant_label, written
from attncompare.record import Run

_DATA = "data"  # no key of a config, all of whose data keys are longer
_MOST_NAMED = 3
_ALWAYS = (*CHOSEN, TOKENIZER)  # told wherever any two runs differ in it
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


def labels(runs: Sequence[Run], hidden: Sequence[str] = ()) -> list[str]:
    """Return a different label for each of ``runs``: that of its attention, and what else it chooses: "scaled lr=0.01".

    Of what a comparison keeps equal, only that is told in which runs of one attention differ; its name where nothing does.
    Settings that all attentions share are those of :func:`shared_settings`.

    Args:
        runs: one run of each variant.
        hidden: keys that no label shows, because each variant has one value, which is told elsewhere.
    """
    flats = [{**flatten(run.config.to_dict()), _DATA: fingerprint(run)} for run in runs]
    names = short_keys({key for flat in flats for key in flat})
    untold = ("attention.", *_NEVER, *hidden, *implied_keys(flats))
    shared = "".join(f" {setting}" for setting in shared_settings(runs, hidden))
    found = [variant_label(run.config.attention, hidden).removesuffix(shared) for run in runs]
    told = []
    for label, flat in zip(found, flats, strict=True):
        same = [other for name, other in zip(found, flats, strict=True) if name == label]
        settings = [
            f"{names[key]}={written(value if key != _DATA else str(value)[:8])}"
            for key, value in flat.items()
            if not is_free(key, untold)
            # Compared as they are written, as in a model's identity: 0.0 and -0.0 are two settings.
            and any(repr(one.get(key)) != repr(value) for one in (flats if is_free(key, _ALWAYS) else same))
        ]
        told.append(" ".join([label, *settings]))
    again = {label for label, count in Counter(told).items() if count > 1}
    own = [run.config.attention.name for run in runs]
    return [
        f"{label} name={name}" if label in again and label.split()[0] != name else label
        for label, name in zip(told, own, strict=True)
    ]


def shared_settings(runs: Sequence[Run], hidden: Sequence[str] = ()) -> list[str]:
    """Return what several attentions all have beside their names, "encoder.window=6", so that no label need say it."""
    words = [label.split(" ") for label in dict.fromkeys(variant_label(run.config.attention, hidden) for run in runs)]
    if len(words) < 2:
        return []
    ends = zip(*(reversed(one[1:]) for one in words), strict=False)
    # A quoted value may hold spaces.
    same = takewhile(lambda end: len(set(end)) == 1 and "=" in end[0] and '"' not in end[0], ends)
    return [end[0] for end in same][::-1]
