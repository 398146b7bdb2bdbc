"""A run read back from its folder, and the seal that a finished one carries.

The folder explains itself: ``config.yaml`` and ``overrides.yaml`` (what was trained), ``environment.json`` (with what),
``metrics.csv`` (a row for each time that metrics were logged), ``heads.csv`` (the numbers of each head at each validation),
``predictions.jsonl`` and ``items.jsonl`` (the test set), ``summary.json`` (state and final figures), the tokenizer, ``maps/``
and ``checkpoints/``. ``manifest.json`` holds the SHA-256 of each of them once the run has finished, so that a changed byte is
noticed at every reading.
"""

import csv
import io
import re
import shlex
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from html import escape
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, TypeAdapter, ValidationError

from attncompare.config import RunConfig, parse, variant_label
from attncompare.config.plain_values import safe_json, safe_yaml
from attncompare.errors import Refused
from attncompare.record.files import LIMIT, MEBIBYTE, digest, files_named, json_bytes, read_inside, write_json
from attncompare.record.log import is_locked
from attncompare.text import counted

if TYPE_CHECKING:
    from pandas import DataFrame

FORMAT = 3
MANIFEST = "manifest.json"
RUN_MARKS = ("summary.json", MANIFEST)  # a folder with either is a run, or what is left of one
SWEEP_FILE = "sweep.yaml"
REPRODUCE = "reproduce="  # how the one override of a reproduction begins; no config has that key
REFERENCE = "reference"  # the folder of the records that come with the code
SWEEP_LIMIT = 64 * MEBIBYTE  # bytes of a sweep's file: some hundred thousand runs
BEST_WEIGHTS = "checkpoints/best.safetensors"
LAST_WEIGHTS = "checkpoints/last.safetensors"
AVERAGED_WEIGHTS = "checkpoints/averaged.safetensors"
WORDS = "words.txt"  # that training has seen, one a line
_SEALED = (
    *("config.yaml", "overrides.yaml", "environment.json", "*tokenizer.json", WORDS, "metrics.csv", "heads.csv"),
    *("predictions.jsonl", "items.jsonl", "summary.json", "maps/*", BEST_WEIGHTS, LAST_WEIGHTS, AVERAGED_WEIGHTS),
)
_MAPS = "maps/step-*.npz"
PLACE_OF_HEAD = ("step", "site", "layer", "head")
"""The first columns of ``heads.csv``; layers and heads count from 1."""
HEAD_KEY = re.compile(r"heads/([A-Za-z0-9_-]+)/(\d+)\.(\d+)/(\w+)")
"""How loggers are given a number of a head: its site, layer, head and name."""
_LONGEST_NUMBER = 40  # characters; Python writes at most 24

State = Literal["running", "finished", "failed", "interrupted"]
Figures = dict[str, float | None]


class _Read(BaseModel):
    """What a file holds at least, each of its type; other keys may stand beside."""

    model_config = ConfigDict(extra="allow", strict=True)


class _Wandb(_Read):
    """W&B's name of the run, and what of it W&B's view went by (:class:`attncompare.wandb_logging.destination.Destination`)."""

    id: str
    mode: Literal["offline", "online", "disabled"] | None = None
    project: str | None = None
    entity: str | None = None
    group: str | None = None
    tags: list[str] = []
    notes: str = ""


class Summary(_Read):
    """What ``summary.json`` holds at least, from the beginning on; a run may add facts of its own."""

    format: Literal[3]
    state: State
    task: str
    label: str
    message: str | None
    config_sha256: str
    wall_seconds: float = 0.0
    group: str | None = None
    wandb: _Wandb | None = None
    data: dict[str, Any] = {}
    made_with: dict[str, str] | None = None  # see attncompare.record.code
    resumed: list[dict[str, Any]] = []


class _Data(_Read):
    fingerprint: str


class FinishedSummary(Summary):
    """What it holds at least once the run has finished."""

    data: _Data  # type: ignore[assignment]
    best_step: int
    steps: int
    val: Figures
    test: Figures
    cost: Figures
    tested: Literal["best", "averaged"] = "best"
    weights_sha256: str


class _Manifest(_Read):
    """``dropped`` names the files that were left out when the record was packed: their hashes stay part of the seal."""

    sha256: dict[str, str]
    seal: str
    dropped: list[str] = []


def _beside(path: str) -> str:
    """Refuse a path that does not lead from a sweep's folder, two folders up at most, down to another one."""
    parts = PurePosixPath(path).parts
    down = parts[parts.count("..") :]
    if not 1 <= len(parts) - len(down) <= 2 or not down or ".." in down or "\\" in path or not path.isprintable():
        raise ValueError("leads to no run beside the sweep")
    return path


# Where the runs lie that a sweep has taken in, by the hash of their config; relative to the sweep's folder.
Shared = dict[str, Annotated[str, AfterValidator(_beside)]]


class _Sweep(_Read):
    runs: list[Any]
    configs: list[str] = []  # the hash of each run's config, in the order in which they were asked for
    shared: Shared = {}


class _Item(_Read):
    """A line of ``items.jsonl``: besides the id the sums of each metric by its name."""

    __pydantic_extra__: dict[str, list[float]]

    id: int


@dataclass(frozen=True)
class Run:
    """A run read from its folder. What a finished run holds is checked against its seal at every reading."""

    path: Path
    summary: dict[str, Any]

    @classmethod
    def open(cls, path: str | Path) -> "Run":
        """Read the run in the folder ``path``, or refuse what is no run or a damaged one."""
        path = Path(path)
        if not is_run(path):
            why = "not a run (a run's folder holds config.yaml and summary.json)" if path.exists() else "no such folder"
            raise Refused(f"{path}: {why}")
        file, content = path / "summary.json", read_inside(path, "summary.json")
        summary = safe_json(content, file)
        if not isinstance(summary, dict) or summary.get("format") != FORMAT:
            raise Refused(f"{file}: not a record of format {FORMAT}")
        _checked(Summary, summary, file)
        run = cls(path, summary)
        run._check("summary.json", content)
        return run

    def __repr__(self) -> str:
        return f"Run({', '.join(self._said())})"

    def _repr_html_(self) -> str:
        """Return what a notebook shows: name, variant, task, seed, and the figures on test with the leading one first."""
        name, *facts = map(escape, self._said())
        figures = "".join(f"<tr><th>{escape(title)}</th><td>{figure}</td></tr>" for title, figure in self._figures())
        return f"<b>{name}</b><br>{', '.join(facts)}<table>{figures}</table><code>{escape(str(self.path))}</code>"

    def to_frame(self) -> "DataFrame":
        """Return the rows of ``metrics.csv`` as a pandas table by step; a figure that was not logged at a step is NaN."""
        from pandas import DataFrame  # takes long

        return DataFrame(self.metrics()).set_index("step")

    def _said(self) -> list[str]:
        """Return name, variant, task, seed, and the leading figure on test, else the state."""
        config, figures = self.config, self._figures()
        last = f"{figures[0][0]} {figures[0][1]}" if figures else self.state
        facts = [f"attention={variant_label(config.attention)}", f"task={config.task.name}", f"seed={config.seed}"]
        return [config.name or self.path.name, *facts, last]

    def _figures(self) -> list[tuple[str, str]]:
        """Return titles with units and figures on test, the most important first; none of an unfinished run."""
        from attncompare.tasks.metrics import metrics_of  # imports torch

        found = self.summary.get("test") or {}
        own = metrics_of(self.config) if found else {}
        return [(one.describe(), one.format(found[name])) for name, one in own.items() if name in found]

    @property
    def state(self) -> State:
        """Running, finished, failed or interrupted."""
        return self.summary["state"]

    @property
    def tested_weights(self) -> str:
        """The file of the weights that were tested: the best on val, or the mean of the last."""
        return AVERAGED_WEIGHTS if self.summary.get("tested") == "averaged" else BEST_WEIGHTS

    def alive(self) -> bool:
        """Return whether a process is training this run now."""
        return is_locked(self.path)

    @cached_property
    def config(self) -> RunConfig:
        """What was trained."""
        file = self.path / "config.yaml"
        content = self.read("config.yaml")
        if self._manifest is None and digest(content) != self.summary["config_sha256"]:
            raise Refused(f"{file}: not what the run began with")
        values = safe_yaml(content, file)
        try:
            return parse(values)
        except Refused as error:
            raise Refused(f"{file}: {error}") from None

    def read(self, name: str, limit: int = LIMIT) -> bytes:
        """Return the content of the file ``name`` (``maps/step-0000100.npz``), at most ``limit`` bytes.

        Refused is what is missing, leads out of the folder, or is not what the finished run wrote.
        """
        if name in self.dropped:
            raise Refused(f"{self.path / name}: left out when this record was packed")
        content = read_inside(self.path, name, limit)
        self._check(name, content)
        return content

    def has(self, name: str) -> bool:
        """Return whether the run holds the file ``name``; of a finished one, whether it was sealed and not left out."""
        if self._manifest is None:
            return (self.path / name).exists()
        return name in self._sealed and name not in self.dropped

    @cached_property
    def reproduces(self) -> str | None:
        """What ``attncompare reproduce`` trained again here, as it was named; None: the run is no reproduction."""
        if not self.has("overrides.yaml"):
            return None
        values = safe_yaml(self.read("overrides.yaml"), self.path / "overrides.yaml")
        first = values[0] if isinstance(values, list) and values else None
        return first.removeprefix(REPRODUCE) if isinstance(first, str) and first.startswith(REPRODUCE) else None

    @property
    def dropped(self) -> tuple[str, ...]:
        """The files that were left out when the record was packed, such as weights and maps."""
        return () if self._manifest is None else tuple(self._manifest.dropped)

    def without(self, patterns: Iterable[str]) -> dict[str, bytes]:
        """Return the files of a finished run by name, but for those that match; the manifest says which are missing."""
        self.require_finished()
        matching = {name for name in self._sealed for pattern in patterns if fnmatchcase(name, pattern)}
        dropped = matching.union(self.dropped)
        files = {name: self.read(name) for name in self._sealed if name not in dropped}
        manifest = {"sha256": self._sealed, "seal": _seal_of(self._sealed), "dropped": sorted(dropped)}
        return {**files, MANIFEST: json_bytes(manifest)}

    def metrics(self) -> list[dict[str, float]]:
        """Return the rows of ``metrics.csv`` in order, none where they were left out; an empty cell is an absent key."""
        return [] if "metrics.csv" in self.dropped else self._table("metrics.csv", ("step", "epoch"), ("step",))

    def heads(self) -> list[dict[str, float]]:
        """Return the rows of ``heads.csv`` as they were logged, ``{"step": 100, "heads/cross/1.2/entropy": 0.5, ...}``.

        Each holds the numbers of one head. There are none where the model has no attention, or the record is older.
        """
        if not self.has("heads.csv"):
            return []
        found = []
        for row in self._table("heads.csv", PLACE_OF_HEAD, PLACE_OF_HEAD):
            step, site, layer, head = (row.pop(key) for key in PLACE_OF_HEAD)
            found.append({"step": step, **{f"heads/{site}/{layer}.{head}/{name}": row[name] for name in row}})
        return found

    def environment(self) -> dict[str, Any]:
        """Return what ``environment.json`` says of versions, code and machine."""
        file = self.path / "environment.json"
        return _checked(dict[str, Any], safe_json(self.read(file.name), file), file)

    def predictions(self) -> list[dict[str, Any]]:
        """Return the rows of ``predictions.jsonl``, none where the run has not got that far or they were left out."""
        return self._rows("predictions.jsonl", list[dict[str, Any]])

    def items(self) -> list[dict[str, Any]]:
        """Return the sums of each test item, ``{"id": 3, "loss": [nats, tokens], ...}``, none where there are none."""
        return self._rows("items.jsonl", list[_Item])

    def map_files(self) -> list[Path]:
        """Return the files of attention maps, by training step."""
        if self._manifest is None:
            return sorted(self.path.glob(_MAPS))
        return [self.path / name for name in sorted(self._sealed) if fnmatchcase(name, _MAPS) and self.has(name)]

    def require_finished(self) -> "Run":
        """Return the run itself, or refuse with its state."""
        if self.state != "finished":
            raise Refused(f"{self.path}: the run {self.standing()}")
        _checked(FinishedSummary, self.summary, self.path / "summary.json")
        return self

    def standing(self) -> str:
        """Return in words where an unfinished run stands, and what can be done."""
        if self.alive():
            return "is being trained right now"
        why = f": {self.summary['message']}" if self.summary["message"] else ""
        how = "was killed while it was running" if self.state == "running" else f"is {self.state}, not finished"
        return f"{how}{why}; {how_to_resume(self.path)}"

    @cached_property
    def _manifest(self) -> _Manifest | None:
        """The seal of a finished run; an unfinished one still changes."""
        if self.state != "finished":
            return None
        file = self.path / MANIFEST
        manifest = _checked(_Manifest, safe_json(read_inside(self.path, MANIFEST), file), file)
        if manifest.seal != _seal_of(manifest.sha256) or not set(manifest.dropped) <= manifest.sha256.keys():
            raise Refused(f"{file}: damaged (its list of files is not what was sealed)")
        return manifest

    @property
    def _sealed(self) -> dict[str, str]:
        return {} if self._manifest is None else self._manifest.sha256

    def _table(self, name: str, first: Sequence[str], needed: Sequence[str]) -> list[dict[str, Any]]:
        """Return the rows of a csv file whose header begins with ``first``, each with all that is ``needed`` of it."""
        try:
            text = self.read(name).decode()
            # While a run goes on, a line may be half written.
            text = text if self.state == "finished" else text[: text.rfind("\n") + 1]
            header, *rows = csv.reader(io.StringIO(text, newline=""))
            if header[: len(first)] != [*first] or any(len(row) != len(header) for row in rows):
                raise ValueError("its lines do not fit its header")
            found = [
                {key: cell if key == "site" else _number(cell) for key, cell in zip(header, row, strict=True) if cell}
                for row in rows
            ]
            if not all(type(row.get(key)) is (str if key == "site" else int) for row in found for key in needed):
                raise ValueError(f"a row without its {' or '.join(needed)}")
            return found
        except (ValueError, csv.Error) as error:
            raise Refused(f"{self.path / name}: damaged ({error})") from None

    def _rows(self, name: str, schema: Any) -> list[dict[str, Any]]:
        file = self.path / name
        if not self.has(name):
            return []
        *lines, rest = self.read(name).split(b"\n")
        if rest:
            raise Refused(f"{file}: damaged (its last line has no end)")
        rows = [safe_json(line, f"{file}: line {place}") for place, line in enumerate(lines, 1)]
        _checked(schema, rows, file)
        return rows

    def _check(self, name: str, content: bytes) -> None:
        if self._manifest is not None and digest(content) != self._sealed.get(name):
            why = "not what the finished run wrote" if name in self._sealed else "not a file of the finished run"
            raise Refused(f"{self.path / name}: {why} (its SHA-256 is not that of {MANIFEST})")


def seal(folder: Path, summary: bytes | None = None) -> None:
    """Write ``manifest.json``: the SHA-256 of every file that a reader reads, and one over all of these.

    ``summary`` is the ``summary.json`` that is about to be written; None: the one that is there.
    """
    files = sorted(file for pattern in _SEALED for file in folder.glob(pattern) if file.is_file())
    digests = {file.relative_to(folder).as_posix(): digest(file.read_bytes()) for file in files}
    if summary is not None:
        digests["summary.json"] = digest(summary)
    write_json(folder / MANIFEST, {"sha256": digests, "seal": _seal_of(digests), "dropped": []})


def _seal_of(digests: dict[str, str]) -> str:
    return digest("".join(f"{value} {name}\n" for name, value in sorted(digests.items())).encode())


def is_reference(folder: Path, given: Path) -> bool:
    """Return whether the run in ``folder`` comes with the code, and was found below ``given`` rather than named by it.

    Such a run was unpacked from ``reference/NAME.tar.xz``, as ``NAME/RUN``: there, or beside ``reference``.
    """
    folder, given = folder.resolve(), given.resolve()
    unpacked = folder.parent
    ours = unpacked.parent.name == REFERENCE or (unpacked.parent / REFERENCE / f"{unpacked.name}.tar.xz").is_file()
    return ours and given not in (folder, unpacked) and given.name != REFERENCE


def is_run(path: Path) -> bool:
    """Return whether ``path`` is the folder of a run."""
    return (path / "config.yaml").is_file() and (path / "summary.json").is_file()


def run_folders(path: Path) -> list[Path]:
    """Return the folders below ``path`` that are runs, or what is left of one, and those that sweeps there share.

    Refused if too much is there."""
    files = files_named(path, [*RUN_MARKS, SWEEP_FILE])
    own = sorted({file.parent for file in files if file.name != SWEEP_FILE})
    shared = [run for file in files if file.name == SWEEP_FILE for run in shared_runs(file.parent).values()]
    return sorted({run.resolve(): run for run in [*filter(is_run, shared), *own]}.values()) if shared else own


def find_runs(paths: Iterable[str | Path]) -> list[Run]:
    """Open every run among ``paths``: each the folder of a run, or one that holds runs at any depth, but not of none."""
    runs: dict[Path, Run] = {}
    for path in map(Path, paths):
        if not path.is_dir():
            raise Refused(f"{path}: no such folder")
        # What is left of a damaged run must not be passed over in silence, so either mark counts.
        found = [path] if is_run(path) else run_folders(path)
        if not found:
            raise Refused(f"{path}: neither a run nor a folder that holds runs")
        runs.update({folder.resolve(): Run.open(folder) for folder in found if folder.resolve() not in runs})
    return list(runs.values())


def asked_in_order(sweep: Path) -> list[str]:
    """Return the hashes of a sweep's configs in the order asked for; none where there is no ``sweep.yaml``, or a damaged one."""
    try:
        return _sweep(sweep).configs
    except Refused:  # its runs can be whole
        return []


def shared_runs(sweep: Path) -> dict[str, Path]:
    """Return where the runs lie that a sweep has taken in, by the hash of their config, whether they are there or gone."""
    try:
        shared = _sweep(sweep).shared
    except Refused:  # its own runs can be whole
        return {}
    here = Path.cwd()
    found = {config: (sweep / path).resolve() for config, path in shared.items()}
    return {config: path.relative_to(here) if path.is_relative_to(here) else path for config, path in found.items()}


def _sweep(folder: Path) -> _Sweep:
    file = folder / SWEEP_FILE
    found: _Sweep = _checked(_Sweep, safe_yaml(read_inside(folder, SWEEP_FILE, SWEEP_LIMIT), file), file)
    return found


def not_started(paths: Iterable[str | Path]) -> list[str]:
    """Return a sentence for each sweep in or below ``paths`` that is damaged or of which some runs have no record.

    Runs that a sweep shares and that are gone have a sentence of their own."""
    sentences = []
    files = {file.resolve(): file for path in paths for file in files_named(Path(path), [SWEEP_FILE])}
    for file in files.values():
        try:
            asked = len(_sweep(file.parent).runs)
        except Refused as error:  # the runs beside it can be whole
            sentences.append(str(error))
            continue
        # One that failed and was trained again has two folders, and a damaged one has been started, too.
        started = set()
        shared = shared_runs(file.parent).values()
        gone = [run for run in shared if not is_run(run)]
        sentences += [gone_note(file.parent, gone)] if gone else []
        for folder in filter(is_run, [*file.parent.iterdir(), *shared]):
            try:
                started.add(Run.open(folder).summary["config_sha256"])
            except Refused:
                started.add(str(folder))
        missing = asked - len(started) - len(gone)
        if missing > 0:
            sentences.append(f"{file.parent}: {missing} of its {counted(asked, 'run')} not started; see {SWEEP_FILE}")
    return sentences


def gone_note(sweep: Path, gone: Collection[Path]) -> str:
    """Return in words that runs which a ``sweep`` shares are no longer there, and what can be done."""
    first, *others = gone
    which = f"{first}, which it shares, is" if not others else f"{len(gone)} runs that it shares, such as {first}, are"
    return f"{sweep}: {which} gone; the same attncompare train -m trains what is missing"


def how_to_resume(run: Path) -> str:
    """Return the command that goes on with the run in the folder ``run``."""
    return f"go on with: attncompare train --resume {shlex.quote(str(run))}"


def mark_lost(path: Path, message: str) -> None:
    """Close the record of a run whose process is gone without having closed it itself: it has failed."""
    run = Run.open(path)
    if run.state == "running":
        write_json(path / "summary.json", {**run.summary, "state": "failed", "message": message})


def _checked(schema: Any, value: Any, file: Path) -> Any:
    try:
        return TypeAdapter(schema).validate_python(value)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise Refused(f"{file}: damaged ({where}{': ' if where else ''}{first['msg']})") from None


def _number(cell: str) -> float:
    if len(cell) > _LONGEST_NUMBER:
        raise ValueError(f"a number of {len(cell)} characters")
    return int(cell) if cell.lstrip("-").isdigit() else float(cell)
