"""Data from elsewhere: datasets of the Hugging Face hub, and files from fixed addresses."""

import hashlib
import shutil
import urllib.request
from pathlib import Path
from typing import Any

import datasets
import huggingface_hub
from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError

from attncompare.data.cache import cache_folder, unfinished
from attncompare.data.reading import Columns, first_rows, text_columns, told_in_one_line
from attncompare.errors import Refused

_ANSWER = 10  # seconds to wait for an answer


def hub_builder(name: str, subset: str | None) -> tuple[datasets.DatasetBuilder, dict[str, Any]]:
    """Return a builder for a dataset of the hub, and its origin for the record, with the revision that it has now.

    Where ``HF_HUB_OFFLINE=1`` is set, the copy in the cache is taken.

    Raises:
        Refused: if the hub cannot be reached, or has no such dataset or subset.
    """
    where = f"data.hub={name}"
    revision = None if huggingface_hub.constants.HF_HUB_OFFLINE else _revision(name, where)
    with told_in_one_line(where):
        # The prefix keeps a folder of this name, here or among the library's own, from being taken for it.
        builder = datasets.load_dataset_builder(f"hf://datasets/{name}", subset, revision=revision)
    return builder, {"hub": name, "subset": builder.config.name, "revision": revision}


def hub_rows(
    builder: datasets.DatasetBuilder,
    origin: dict[str, Any],
    split: str,
    columns: Columns,
    blank: bool,
    first: int | None,
) -> datasets.Dataset:
    """Return the rows of one split, mapped from the cache.

    Args:
        builder, origin: as :func:`hub_builder` returns them.
        split: its name on the hub.
        columns, blank, first: see :func:`attncompare.data.reading.read`.

    Raises:
        Refused: if the data cannot be read, have no such split or columns, or hold something else than text there.
        RunFailed: if the disk is full, or the like.
    """
    where = f"data.hub={origin['hub']}"
    with told_in_one_line(where):
        if first is not None:
            # By default a lost connection is tried for minutes.
            datasets.config.STREAMING_OPEN_MAX_RETRIES = datasets.config.STREAMING_READ_MAX_RETRIES = 3
            streams = builder.as_streaming_dataset()
            _require_split(split, where, streams)
            return first_rows(streams[split], columns, where, blank, first, [origin, split])
        if builder.info.splits:
            _require_split(split, where, builder.info.splits)
        builder.download_and_prepare()
        _require_split(split, where, builder.info.splits)
        return text_columns(builder.as_dataset(split), columns, f"{where}, split {split}", blank)


def fetched(address: str, what: str) -> Path:
    """Return the local copy of the file at an address; what was fetched before needs no network.

    Args:
        address: of the file.
        what: the key of the config that asked, for the message.

    Raises:
        Refused: if it cannot be fetched; it names the local alternative.
    """
    name = f"{hashlib.sha256(address.encode()).hexdigest()[:16]}-{address.rpartition('/')[2]}"
    copy = cache_folder() / "fetched" / name
    if not copy.exists():
        try:
            answer = urllib.request.urlopen(address, timeout=_ANSWER)
            with answer, unfinished(copy) as part, part.open("wb") as file:
                shutil.copyfileobj(answer, file)
        except (OSError, ValueError) as error:
            raise Refused(
                f"{what}: {address} cannot be fetched ({error}); check the network, or use local files with data.path=..."
            ) from None
    return copy


def _revision(name: str, where: str) -> str | None:
    """Return the commit at which the dataset stands."""
    try:
        return huggingface_hub.HfApi().dataset_info(name, timeout=_ANSWER).sha
    except RepositoryNotFoundError:
        raise Refused(f"{where}: the hub has no such dataset, or it is private; valid: owner/name") from None
    except Exception as error:  # of whatever library carries the question
        status = getattr(getattr(error, "response", None), "status_code", None)
        reason = f"HTTP {status}" if isinstance(error, HfHubHTTPError) else str(error).strip()
        first = (reason.splitlines() or [type(error).__name__])[0]
        raise Refused(
            f"{where}: the Hugging Face hub cannot be reached ({first}); use local files with data.path=..., or, if it "
            "was fetched before, set HF_HUB_OFFLINE=1"
        ) from None


def _require_split(split: str, where: str, valid: Any) -> None:
    if split not in valid:
        raise Refused(f"{where} has no split '{split}'; valid: {', '.join(map(str, valid))}")
