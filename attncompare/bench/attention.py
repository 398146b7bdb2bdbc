"""``attncompare bench attention``: every score against what people would pick instead, in time, memory and error."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import torch

from attncompare.bench import attention_forms, attention_modules
from attncompare.bench.attention_errors import error_over_eager
from attncompare.bench.attention_wish import Variant, Wish
from attncompare.bench.command import Say
from attncompare.bench.contender import Contender, LeftOut
from attncompare.bench.devices import use
from attncompare.bench.facts import machine_facts
from attncompare.bench.memory import peak_extra_bytes
from attncompare.bench.options import Options
from attncompare.bench.report import Column, Line, Picture, Report, Row, Table, Value
from attncompare.bench.rounds import Measured, measure
from attncompare.bench.values import shown
from attncompare.training.machine import total_memory

_PASSES = {"forward": False, "training": True}
_SHARE = 0.5  # of this machine's memory that a contender may need
_COLUMNS = (
    Column("forward", "forward", "seconds"),
    Column("forward_over", "÷ ours", "ratio"),
    Column("training", "+ backward", "seconds"),
    Column("training_over", "÷ ours", "ratio"),
    Column("bytes", "memory", "bytes"),
    Column("error", "error", "ratio"),
    Column("compiled", "compiling", "seconds"),
)
_NOTES = (
    "÷ ours: how many times as long as attncompare in the same rounds. Memory: peak beyond the inputs, forward and "
    "backward, gradients included, of one call in a fresh process.",
    "Error: RMS against float64 over that of the eager formula, the largest of context and gradients. Compiling: the "
    "first call, forward and backward. SDPA: torch's scaled_dot_product_attention; beside additive, another function.",
)


def bench_attention(options: Options, say: Say, *, wish: Wish) -> Report:
    """Measure what is wished.

    Raises:
        Refused: if there is no such device.
    """
    bench = _Bench(options, say, wish, use(options))
    tables = [bench.functions(variant) for variant in wish.variants] if "functions" in wish.parts else []
    if "modules" in wish.parts:
        tables.append(bench.modules())
    settings = {**vars(wish), "rounds": options.rounds, "quick": options.quick}
    return Report(_command(options, wish), machine_facts(options.device), json.loads(json.dumps(settings)), tables)


class _Bench:
    def __init__(self, options: Options, say: Say, wish: Wish, synchronize: Callable[[], None]) -> None:
        self.options, self.say, self.wish, self.synchronize = options, say, wish, synchronize
        self.common: dict[str, Any] = {
            "batch": wish.batch,
            "heads": wish.heads,
            "head_dim": wish.head_dim,
            "dtype": wish.dtype,
        }
        self.limit = _SHARE * _memory(options.device)

    def functions(self, variant: Variant) -> Table:
        """Return the table of one variant, from queries, keys and values to context, at all lengths."""
        forms = ("ours", *self.wish.peers)
        problem: dict[str, Any] = {"score": variant.score, "causal": variant.causal}
        rows = []
        for length in self.wish.lengths:
            sizes = {**self.common, "length": length}
            self.say(f"{variant.name}: {length} queries and keys")

            def make(form: str, training: bool, sizes: Mapping[str, Any] = sizes) -> Contender:
                needed = attention_forms.bytes_needed(form, variant.score, training, **sizes)
                if needed > self.limit:
                    return _too_large(attention_forms.NAMES[form], needed, self.limit)
                return attention_forms.contender(form, training, **problem, **sizes, device=self.options.device)

            rows += self._rows(length, forms, attention_forms.NAMES, make, problem)
        title = f"{variant.name}{', causal' if variant.causal else ''}: {self._sizes()}"
        return _table(title, rows, _COLUMNS, _NOTES)

    def modules(self) -> Table:
        """Return the table of whole modules for self-attention."""
        rows = []
        for length in self.wish.lengths:
            self.say(f"modules: {length} queries and keys")

            def make(form: str, training: bool, length: int = length) -> Contender:
                sizes = {**self.common, "length": length, "device": self.options.device}
                return attention_modules.module_contender(form, training, **sizes)

            names = attention_modules.NAMES
            rows += self._rows(length, tuple(names), names, make, None)
        columns = tuple(column for column in _COLUMNS if column.key not in ("error", "compiled"))
        return _table(f"multihead module, projections included: {self._sizes()}", rows, columns, _NOTES[:1])

    def _rows(
        self,
        length: int,
        forms: tuple[str, ...],
        names: Mapping[str, str],
        make: Callable[[str, bool], Contender],
        problem: Mapping[str, Any] | None,
    ) -> list[Row]:
        """Return a row for each form at one length; ``problem`` is that of a function, None for modules."""
        found = {
            key: measure([make(form, training) for form in forms], self.options.length(), self.synchronize)
            for key, training in _PASSES.items()
        }
        rows = []
        for form in forms:
            name = names[form]
            values: dict[str, Value] = {}
            for key, measured in found.items():
                values |= _times(key, name, names["ours"], measured)
            note = "; ".join(dict.fromkeys(m.left_out[name] for m in found.values() if name in m.left_out))
            if form == "compile" and name in found["training"].timed:
                values["compiled"] = found["training"].timed[name].first_seconds
            if "training" in values:
                try:
                    values["bytes"] = self._bytes(form, length, problem)
                except LeftOut as reason:
                    note = str(reason)
                if problem is not None:
                    values["error"] = self._error(form, length, problem)
            rows.append(Row((str(length), name), values, note))
        return rows

    def _bytes(self, form: str, length: int, problem: Mapping[str, Any] | None) -> int:
        shared = {
            **self.common,
            **(problem or {}),
            "form": form,
            "training": True,
            "device": self.options.device,
            "threads": self.options.threads,
        }
        make = "attention_forms:contender" if problem is not None else "attention_modules:module_contender"
        warm_up = None if form == "compile" else {**shared, "length": min(length, 16)}
        arguments = {**shared, "length": length}
        return peak_extra_bytes(f"attncompare.bench.{make}", arguments, warm_up, self.options.device)

    def _error(self, form: str, length: int, problem: Mapping[str, Any]) -> float | None:
        """Return the error over that of the eager form; None where that has none, or float64 does not fit."""
        sizes = {**self.common, "length": length}
        score = problem["score"]
        needed = 2 * attention_forms.bytes_needed("eager", score, True, **{**sizes, "dtype": "float32"})
        if form == "eager" or needed > self.limit or (form == "sdpa" and score not in ("dot", "scaled")):
            return None
        return error_over_eager(form, **problem, device=self.options.device, **sizes)

    def _sizes(self) -> str:
        wish = self.wish
        return f"batch {wish.batch}, heads {wish.heads}, width of a head {wish.head_dim}, {wish.dtype}"


def _times(key: str, name: str, base: str, measured: Measured) -> dict[str, Value]:
    timed = measured.timed.get(name)
    if timed is None:
        return {}
    ours = measured.timed.get(base)
    over = timed.over(ours) if ours is not None and name != base else None
    return {key: timed.spread, f"{key}_over": over}


def _too_large(name: str, needed: int, limit: float) -> Contender:
    def prepare() -> Callable[[], object]:
        raise LeftOut(f"left out: needs about {shown(needed, 'bytes')}, more than {shown(limit, 'bytes')}")

    return Contender(name, prepare)


def _table(title: str, rows: list[Row], columns: tuple[Column, ...], notes: tuple[str, ...]) -> Table:
    lengths = tuple(dict.fromkeys(row.label[0] for row in rows))
    names = tuple(dict.fromkeys(row.label[1] for row in rows))
    by_label = {row.label: row.values for row in rows}

    def picture(key: str, what: str, unit: str) -> Picture:
        lines = [Line(name, tuple(by_label[length, name].get(key) for length in lengths)) for name in names]
        return Picture(what, "queries and keys", unit, tuple(map(float, lengths)), tuple(lines))

    pictures = (
        picture("training", "Time, forward + backward", "seconds"),
        picture("bytes", "Peak extra memory, forward + backward", "bytes"),
    )
    return Table(title, ("T = S", "what"), columns, tuple(rows), notes, pictures)


def _memory(device: str) -> float:
    if device == "cuda":
        return float(torch.cuda.mem_get_info()[0])
    total = total_memory()
    return float("inf") if total is None else float(total)


def _command(options: Options, wish: Wish) -> str:
    """Return the command with all sizes, so that it says the same whatever the defaults are one day."""
    lists = {"attention": wish.attention, "parts": wish.parts, "peers": wish.peers, "lengths": wish.lengths}
    words = [f"--{name} {','.join(map(str, values))}" for name, values in lists.items()]
    words += [f"--batch {wish.batch} --heads {wish.heads} --head-dim {wish.head_dim} --dtype {wish.dtype}"]
    return " ".join(["attncompare bench attention", *words, *options.words])
