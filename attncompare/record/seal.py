"""The seal of a finished record: the SHA-256 of every file that a reader reads, so that a changed byte is noticed."""

import hashlib
from pathlib import Path
from typing import Any

from attncompare.errors import Refused
from attncompare.record.files import write_json
from attncompare.record.reading import read_inside, safe_json

MANIFEST = "manifest.json"
_FILES = (
    *("config.yaml", "overrides.yaml", "environment.json", "tokenizer.json", "source_tokenizer.json"),
    *("metrics.csv", "predictions.jsonl", "losses.jsonl", "summary.json", "maps/*"),
    *("checkpoints/best.safetensors", "checkpoints/last.safetensors", "checkpoints/averaged.safetensors"),
)


def seal(folder: Path, summary: bytes | None = None) -> None:
    """Write ``manifest.json``.

    Args:
        folder: the run's folder.
        summary: the ``summary.json`` that is about to be written; None: the one that is there.
    """
    names = {
        file.relative_to(folder).as_posix() for pattern in _FILES for file in folder.glob(pattern) if file.is_file()
    }
    digests = {name: digest((folder / name).read_bytes()) for name in sorted(names)}
    if summary is not None:
        digests["summary.json"] = digest(summary)
    write_json(folder / MANIFEST, {"sha256": digests, "seal": _seal_of(digests)})


def read_manifest(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each sealed file by name.

    Raises:
        Refused: if there is no manifest, or it is damaged.
    """
    manifest = safe_json(read_inside(folder, MANIFEST), folder / MANIFEST)
    digests: Any = manifest.get("sha256") if isinstance(manifest, dict) else None
    if not isinstance(digests, dict) or not all(isinstance(value, str) for value in digests.values()):
        raise Refused(f"{folder / MANIFEST}: damaged (no list of files)")
    if manifest.get("seal") != _seal_of(digests):
        raise Refused(f"{folder / MANIFEST}: damaged (its list of files is not what was sealed)")
    return digests


def check(path: Path, content: bytes, expected: str | None) -> None:
    """Refuse ``content`` of the file ``path`` if it is not what was sealed.

    Args:
        path: for the message.
        content: what stands in the file.
        expected: its SHA-256 in the manifest; None where it is not listed.

    Raises:
        Refused: if it is another one.
    """
    if digest(content) != expected:
        why = "not a file of the finished run" if expected is None else "not what the finished run wrote"
        raise Refused(f"{path}: {why} (its SHA-256 is not that of {MANIFEST})")


def digest(content: bytes) -> str:
    """Return the SHA-256 of ``content`` in hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def _seal_of(digests: dict[str, str]) -> str:
    return digest("".join(f"{value} {name}\n" for name, value in digests.items()).encode())
