"""Which runs may be compared: finished ones that differ in nothing but the variant and the seed."""

import json
from collections.abc import Sequence
from typing import Any

from attncompare.compare.options import TOKENIZER, is_free
from attncompare.errors import Refused
from attncompare.text import COSTS, METRICS, TOKEN_FREE
from attncompare.config.plain_values import flatten
from attncompare.record import Run

COMPARED = ("attention", "seed")
_FINGERPRINT = "the data's fingerprint"


def require_finished(runs: Sequence[Run]) -> None:
    """Refuse runs that have no final figures.

    Raises:
        Refused: names the first such run, its state, and how many more there are.
    """
    unfinished = [run for run in runs if run.state != "finished"]
    if len(unfinished) > 1:
        others = ", ".join(f"{run.path} is {run.state}" for run in unfinished)
        raise Refused(
            f"{len(unfinished)} of {len(runs)} runs have not finished: {others}; leave them out or train them again"
        )
    if unfinished:
        unfinished[0].require_finished()


def require_figures(run: Run) -> None:
    """Refuse a finished run whose summary holds something else where a figure or the data's fingerprint belongs.

    Raises:
        Refused: names the key and what stands there.
    """
    file, summary = run.path / "summary.json", run.summary
    for key in ("test", "cost", "data"):
        if not isinstance(summary.get(key), dict):
            raise Refused(f"{file}: damaged ({key} is no table of figures)")
    tested = summary["data"].get("test", {})
    if not isinstance(tested, dict) or not isinstance(summary["data"].get("fingerprint"), str | None):
        raise Refused(f"{file}: damaged (data does not say on which data it was trained and tested)")
    signatures = summary.get("signatures") or {}
    if not isinstance(signatures, dict):
        raise Refused(f"{file}: damaged (signatures is {_plain(signatures)})")
    figures = {
        **{f"test.{key}": value for key, value in summary["test"].items() if key in METRICS},
        **{f"cost.{key}": value for key, value in summary["cost"].items() if key in COSTS},
        **{key: summary[key] for key in COSTS if key in summary},
        **{f"data.test.{key}": tested[key] for key in ("bytes", "unknown_rate") if key in tested},
    }
    for key, value in figures.items():
        if isinstance(value, bool) or not isinstance(value, int | float | None):
            raise Refused(f"{file}: damaged ({key} is {_plain(value)}, not a number)")


def differences(runs: Sequence[Run], free: Sequence[str] = ()) -> dict[str, list[tuple[Any, Run]]]:
    """Return what differs among ``runs`` beyond the compared axes: each key with its values, and a run for each.

    Args:
        runs: of one task.
        free: more keys in which they may differ (:func:`attncompare.compare.options.is_free`).
    """
    found: dict[str, list[tuple[Any, Run]]] = {}
    settings = [(_settings(run), run) for run in runs]
    for key in dict.fromkeys(key for values, _ in settings for key in values if not is_free(key, free)):
        seen: dict[str, tuple[Any, Run]] = {}
        for values, run in settings:
            value = values.get(key)
            seen.setdefault(json.dumps(value), (value, run))
        if len(seen) > 1:
            found[key] = list(seen.values())
    return found


def check_equal_footing(runs: Sequence[Run], force: bool, free: Sequence[str] = ()) -> list[str]:
    """Refuse runs of one task that differ in more than the compared axes; with ``force``, say the differences instead.

    Raises:
        Refused: names each differing key with its values, and what can be compared all the same.
    """
    found = differences(runs, free)
    told = [f"{key} is {_values(values)}" for key, values in found.items()]
    why = _not_comparable(found)
    if told and not force:
        axes = " and ".join(COMPARED)
        how = _offer(runs, found) or "--force compares them all the same"
        raise Refused(f"the runs differ in more than {axes}: {'; '.join(told)}{f'; {why}' if why else ''}; {how}")
    notes = [f"not on equal footing: {difference}" for difference in told]
    return [*notes, why] if why else notes


def _not_comparable(found: dict[str, Any]) -> str | None:
    """Return why the losses of runs with these differences say nothing beside each other, if they do not."""
    tokens = any(key.startswith(TOKENIZER) for key in found)
    what = [*(["data"] if _FINGERPRINT in found else []), *(["tokenizers"] if tokens else [])]
    return f"with different {' and '.join(what)} their losses are not comparable" if what else None


def _offer(runs: Sequence[Run], found: dict[str, Any]) -> str | None:
    """Return the metrics in which runs may be compared that differ in nothing but how they cut the same text."""
    if not found or not all(key.startswith(TOKENIZER) for key in found):
        return None
    task = runs[0].config.task.name
    free = [key for key in TOKEN_FREE if task in METRICS[key].tasks]
    titles = ", ".join(METRICS[key].title for key in free)
    return f"the text is the same, so compare them in {titles}: --metric {' or '.join(free)}"


def _settings(run: Run) -> dict[str, Any]:
    """Return all of a run that must be equal: its config without the compared axes, and which data it saw."""
    kept = {key: value for key, value in run.config.settings().items() if key not in COMPARED}
    return {**flatten(kept), _FINGERPRINT: run.summary["data"]["fingerprint"]}


def _values(values: list[tuple[Any, Run]]) -> str:
    return " or ".join(f"{_plain(value)} ({run.path})" for value, run in values)


def _plain(value: Any) -> str:
    return value[:16] if isinstance(value, str) and len(value) == 64 else json.dumps(value).strip('"')


def check_same_text(runs: Sequence[Run]) -> list[str]:
    """Refuse bits per byte over different amounts of text; return what makes them look better than they are.

    Raises:
        Refused: if rows were cut to ``task.max_length`` tokens, so that some runs were tested on less.
    """
    counts = [(run.summary["data"].get("test", {}), run) for run in runs]
    seen = {test["bytes"]: run for test, run in counts if "bytes" in test}
    if len(seen) > 1:
        told = " and ".join(f"{size} bytes ({run.path})" for size, run in seen.items())
        raise Refused(f"--metric bits_per_byte: the test text is not the same: {told}; raise task.max_length")
    unknown = max((test.get("unknown_rate", 0.0) for test, _ in counts), default=0.0)
    return [f"up to {unknown:.2%} of the test tokens are unknown ones, which cost too few bits"] if unknown else []
