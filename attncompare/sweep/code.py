"""What besides its config decides the numbers of a run, told in milliseconds and without importing torch."""

import hashlib
import platform
from collections.abc import Iterable
from importlib.metadata import entry_points, version
from pathlib import Path

from attncompare.config import CorpusConfig, RunConfig
from attncompare.data.files import checked_files
from attncompare.registry import SCORE_GROUP

_PACKAGE = Path(__file__).parents[1]
# What starts, watches, compares or repeats runs, and decides none of their numbers.
ONLY_LOOKS = {
    *("cli.py", "cli_arguments.py", "cli_train.py", "cli_views.py", "progress_board.py", "streams.py"),
    *("compare", "dashboard", "reproduce", "sweep", "upload.py", "wandb_report"),
    *("demands.py", "machine.py"),
    *("tracking/heatmap.py", "tracking/page.py", "tracking/palette.py", "tracking/terminal.py"),
    *("tracking/offline_run.py", "tracking/reference.py", "tracking/wandb_comparison.py"),
}
# Those that compute, and those that the embedded corpora and tokenizers come from.
_DECIDING = ("torch", "pytorch-lightning", "numpy", "tokenizers", "babel", "num2words")


def made_with(configs: Iterable[RunConfig]) -> dict[str, str]:
    """Return what trains ``configs``: if two sweeps agree in it, a finished run of one need not be trained again.

    The sources that train are hashed. So a commit that changes a page of text or a report changes nothing here, while a
    file that git does not know does, and a wheel and a checkout with the same code count as the same.
    """
    facts = {"code": _sources(), "python": platform.python_version()}
    facts |= {name: version(name) for name in _DECIDING}
    for entry in entry_points(group=SCORE_GROUP):
        facts[f"score {entry.name}"] = f"{entry.dist.name} {entry.dist.version}" if entry.dist else entry.value
    corpora = {config.data for config in configs}
    return facts | {f"data {path}": digest for data in corpora for path, digest in _files(data).items()}


def _sources() -> str:
    digest = hashlib.sha256()
    for file in sorted(_PACKAGE.rglob("*.py")):
        name = file.relative_to(_PACKAGE)
        if not ONLY_LOOKS & {name.parts[0], name.as_posix()}:
            content = file.read_bytes()
            digest.update(f"{name.as_posix()}\n{len(content)}\n".encode() + content)
    return digest.hexdigest()


def _files(data: CorpusConfig) -> dict[str, str]:
    """Return the SHA-256 of each local file that a corpus is read from, by its path."""
    digests = {}
    for path in checked_files(data):
        with path.open("rb") as file:
            digests[str(path)] = hashlib.file_digest(file, "sha256").hexdigest()
    return digests
