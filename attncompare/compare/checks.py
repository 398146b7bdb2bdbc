"""How to compare, and which runs may be compared: finished ones that differ in nothing but what they choose and the seed."""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ValidationError

from attncompare.config.plain_values import flatten
from attncompare.config.schema import CHOSEN, PRESENTATION
from attncompare.errors import Refused
from attncompare.record import Run
from attncompare.text import counted

if TYPE_CHECKING:
    from attncompare.tasks.metrics import Metric

TOKENIZER = "data.tokenizer."
SIZES = ("backbone.d_model", "backbone.layers", "backbone.d_ff")
_SHOWN = 40  # characters of a version or a hash
_FINGERPRINT = "the data's fingerprint"


@dataclass(frozen=True)
class Options:
    """How to compare.

    Attributes:
        tune: keys whose value is picked for each variant on val.
        equal: what all variants may spend alike; None: what they have spent.
        metric: the one metric to compare in; None: those of the task.
        vary: what differs between the samples of a variant: "seed" alone, or "order_seed" with it.
        margins: metrics, each with a difference that would not matter, in the unit that people read.
        baseline: the label of the variant with which all others are compared; None: each with each.
    """

    tune: tuple[str, ...] = ()
    equal: Literal["parameters", "flops", "time"] | None = None
    metric: str | None = None
    vary: tuple[str, ...] = ("seed",)
    margins: tuple[tuple[str, float], ...] = ()
    baseline: str | None = None

    def __post_init__(self) -> None:
        if self.tune and self.equal in ("flops", "time"):
            what = f"--tune with --equal {self.equal}"
            raise Refused(f"{what}: values picked on val would be judged on val, too; leave one of them out")
        if set(self.vary) not in ({"seed"}, {"seed", "order_seed"}):
            raise Refused(f"--vary {','.join(self.vary)}: valid: seed, or seed,order_seed")

    def suffix(self) -> str:
        """Return what tells the files of this comparison from those of others: "-metric-loss"; nothing by default."""
        varied = "_".join(self.vary) if self.vary != ("seed",) else None
        margins = "_".join(f"{metric}-{size:g}" for metric, size in self.margins)
        said = {
            "tune": "_".join(self.tune),
            "equal": self.equal,
            "metric": self.metric,
            "vary": varied,
            "margin": margins,
            "baseline": self.baseline and re.sub(r"[^\w.+-]+", "_", self.baseline),
        }
        return "".join(f"-{option}-{value}" for option, value in said.items() if value)

    def margin_of(self, metric: "type[Metric]") -> float | None:
        """Return the difference in ``metric`` that would not matter; None where none was stated."""
        stated = dict(self.margins).get(metric.name)
        return None if stated is None else stated / metric.scale()

    def picked(self) -> tuple[str, ...]:
        """Return the keys of which each variant gets one value."""
        return (*self.tune, *(SIZES if self.equal == "parameters" else ()))

    @property
    def hidden(self) -> tuple[str, ...]:
        """Return the keys that no label shows: those of which each variant gets one value, and those of its samples."""
        return (*self.picked(), *self.vary)

    def free(self, metrics: "Mapping[str, type[Metric]]") -> tuple[str, ...]:
        """Return the keys, or beginnings of keys that end in a dot, in which runs may differ beyond choices and seed."""
        steps = ("trainer.max_steps", "trainer.max_epochs") if self.equal in ("flops", "time") else ()
        any_tokens = self.metric is not None and not metrics[self.metric].per_token
        return (*self.picked(), *self.vary, *steps, *((TOKENIZER,) if any_tokens else ()))


def is_free(key: str, free: Iterable[str]) -> bool:
    """Return whether ``key`` is one of ``free``, or begins with one that ends in a dot."""
    return any(key == one or (one.endswith(".") and key.startswith(one)) for one in free)


def implied_keys(flats: Sequence[Mapping[str, Any]]) -> set[str]:
    """Return the settings of parts of which the names differ and tell the settings: ``backbone.d_model`` of two backbones.

    ``flats`` are configs by their full keys. Attention has names of its own (:func:`attncompare.config.variants.variant_label`).
    """
    implied: set[str] = set()
    for section in ("backbone.", "optimizer.", "data."):
        name = f"{section}name"
        parts = {flat[name] for flat in flats}
        settings = {key for flat in flats for key in flat if key.startswith(section) and key != name}
        if len(parts) > 1:  # told by the name: as many pairs of name and value as there are names
            pairs = {key: {(flat[name], repr(flat.get(key))) for flat in flats} for key in settings}
            implied |= {key for key, found in pairs.items() if len(found) == len(parts)}
    return implied


def check_seeds(runs: Sequence[Run]) -> None:
    """Refuse runs of which two seeds share an order of the data, or one seed has two: samples must not share what varies."""
    orders: dict[int, tuple[int, Run]] = {}
    seeds: dict[int, tuple[int, Run]] = {}
    for run in runs:
        seed, order = run.config.seed, run.config.order
        for name, value, first in (
            (f"seed {seed} has order_seed", order, orders.setdefault(seed, (order, run))),
            (f"order_seed {order} has seed", seed, seeds.setdefault(order, (seed, run))),
        ):
            if first[0] != value:
                told = f"{name} {first[0]} ({first[1].path}) and {value} ({run.path})"
                raise Refused(
                    f"--vary seed,order_seed: {told}; give each seed an order of its own: order_seed='${{seed}}'"
                )


def require_finished(runs: Sequence[Run]) -> None:
    """Refuse runs that have no final figures, naming them and their states."""
    unfinished = [run for run in runs if run.state != "finished"]
    if len(unfinished) > 1:
        told = ", ".join(f"{run.path} is {run.state}" for run in unfinished)
        counts = f"{len(unfinished)} of {len(runs)} runs have not finished"
        raise Refused(f"{counts}: {told}; leave them out or train them again")
    if unfinished:
        unfinished[0].require_finished()


class _Tested(BaseModel):
    bytes: int | None = None
    unknown_rate: float = 0.0


class _Data(BaseModel):
    fingerprint: str | None
    test: _Tested = _Tested()


class _Facts(BaseModel):
    data: _Data
    signatures: dict[str, str] = {}


def require_facts(run: Run) -> None:
    """Refuse a finished run whose summary does not say in the usual form on which data it was trained and tested."""
    try:
        _Facts.model_validate(run.summary, strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise Refused(f"{run.path / 'summary.json'}: damaged ({where}: {first['msg']})") from None


def differences(runs: Sequence[Run], free: Sequence[str] = ()) -> dict[str, list[tuple[Any, Run]]]:
    """Return what differs among ``runs`` of one task beyond choices, seed and ``free`` keys: its values, and a run for each."""
    found: dict[str, list[tuple[Any, Run]]] = {}
    settings = []
    for run in runs:
        # Of the whole config, as settings() leaves out keys at their defaults, whose values a message has to name.
        compared = {key: value for key, value in run.config.to_dict().items() if key not in PRESENTATION}
        settings.append(({**flatten(compared), _FINGERPRINT: run.summary["data"]["fingerprint"]}, run))
    for key in dict.fromkeys(
        key for values, _ in settings for key in values if not is_free(key, ("seed", *CHOSEN, *free))
    ):
        seen: dict[str, tuple[Any, Run]] = {}
        for values, run in settings:
            seen.setdefault(json.dumps(values.get(key)), (values.get(key), run))
        if len(seen) > 1:
            found[key] = list(seen.values())
    return found


def check_equal_footing(
    runs: Sequence[Run], force: bool, free: Sequence[str], metrics: "Mapping[str, type[Metric]]"
) -> list[str]:
    """Refuse runs of one task that differ in what would make it unfair; with ``force``, say the differences instead.

    Refused is told each differing key with its values and runs, and where only the tokenizer differs, those of the task's
    ``metrics`` that do not depend on it.
    """
    found = differences(runs, free)
    told = [
        f"{key} is {' or '.join(f'{_plain(value)} ({run.path})' for value, run in values)}"
        for key, values in found.items()
    ]
    tokens = [key for key in found if key.startswith(TOKENIZER)]
    what = [*(["data"] if _FINGERPRINT in found else []), *(["tokenizers"] if tokens else [])]
    why = [f"with different {' and '.join(what)} their losses are not comparable"] if what else []
    if told and not force:
        how = "--force compares them all the same"
        if list(found) == ["order_seed"]:
            how = "--vary seed,order_seed compares them"
        of_text = {name: metric.title for name, metric in metrics.items() if not metric.per_token}
        if of_text and len(tokens) == len(found):
            titles, names = ", ".join(of_text.values()), " or ".join(of_text)
            how = f"the text is the same, so compare them in {titles}: --metric {names}"
        axes = ", ".join(one.removesuffix(".") for one in (*CHOSEN, "seed"))
        raise Refused(f"the runs differ in more than {axes}: {'; '.join([*told, *why, how])}")
    return [*(f"not on equal footing: {difference}" for difference in told), *why]


def check_same_text(runs: Sequence[Run], metric: str) -> list[str]:
    """Refuse figures per byte where rows were cut to ``task.max_length``, so that some runs were tested on less text.

    Returns what makes such figures look better than they are.
    """
    counts = [(run.summary["data"].get("test", {}), run) for run in runs]
    seen = {test["bytes"]: run for test, run in counts if test.get("bytes") is not None}
    if len(seen) > 1:
        told = " and ".join(f"{size} bytes ({run.path})" for size, run in seen.items())
        raise Refused(f"--metric {metric}: the test text is not the same: {told}; raise task.max_length")
    unknown = max((test.get("unknown_rate", 0.0) for test, _ in counts), default=0.0)
    return [f"up to {unknown:.2%} of the test tokens are unknown ones, which cost too few bits"] if unknown else []


def scoring_notes(runs: Sequence[Run], metrics: "Mapping[str, type[Metric]]") -> list[str]:
    """Return notes where figures of ``runs`` were not computed in one way: over other tokens, or by another signature."""
    notes = []
    unscored = {run.config.unscored: run for run in runs}
    if len(unscored) > 1:
        most = max(unscored)
        notes.append(
            f"{unscored[most].path}: the first {counted(most, 'token')} of each sequence carry no loss, as its mask opens them: "
            "it is judged by other tokens than the rest"
        )
    for name, metric in metrics.items():
        found = {run.summary.get("signatures", {}).get(name): run for run in runs}
        if len(found) > 1:
            told = " or ".join(f"{signature or 'unknown'} ({run.path})" for signature, run in found.items())
            notes.append(f"{metric.title} was not computed in one way: {told}")
    return notes


def code_notes(runs: Sequence[Run]) -> list[str]:
    """Return one note if the code or versions of libraries differ among ``runs``; else none.

    Where all runs say which sources trained them, these count, and not which commit they belong to.
    """
    values: dict[str, dict[str, Run]] = {}
    made = [run.summary.get("made_with") or {} for run in runs]
    known = all("code" in one for one in made)
    for run, facts in zip(runs, made, strict=True):
        environment = run.environment()
        git, packages = environment.get("git"), environment.get("packages")
        code = {fact: facts[fact][:_SHOWN] for fact in facts if known and not fact.startswith("data ")}
        if "git" in environment and not known:
            code["commit"] = f"none, attncompare {environment.get('attncompare')}"
        if isinstance(git, dict) and not known:
            diff = str(git.get("diff") or "")
            code = {"commit": str(git.get("commit"))[:12]}
            code["uncommitted changes"] = hashlib.sha256(diff.encode()).hexdigest()[:8] if diff else "none"
        if isinstance(packages, dict) and "torch" in packages:
            code["torch"] = str(packages["torch"])
        for fact, value in code.items():
            values.setdefault(fact, {}).setdefault(value, run)
    told = [
        f"{fact} {' or '.join(f'{value} ({run.path})' for value, run in found.items())}"
        for fact, found in values.items()
        if len(found) > 1
    ]
    return [f"not all trained by the same code: {'; '.join(told)}"] if told else []


def _plain(value: Any) -> str:
    return value[:16] if isinstance(value, str) and len(value) == 64 else json.dumps(value).strip('"')
