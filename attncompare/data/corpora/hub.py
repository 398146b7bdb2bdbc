"""Datasets of the Hugging Face hub: whether one can be reached is asked first, once and for seconds only."""

import queue
import threading
from typing import Any

import datasets
import huggingface_hub
from datasets import DatasetBuilder
from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError

from attncompare.data.corpora.reading import told_in_one_line
from attncompare.errors import Refused

_ANSWER, _DEADLINE = 10, 20  # seconds: for the hub to answer, and for all of it, the look for its address among it


def hub_builder(name: str, subset: str | None) -> tuple[DatasetBuilder, dict[str, Any]]:
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


def _revision(name: str, where: str) -> str | None:
    """Return the commit at which the dataset stands."""
    answers: queue.Queue[Any] = queue.Queue()

    def ask() -> None:
        try:
            answers.put(huggingface_hub.HfApi().dataset_info(name, timeout=_ANSWER).sha)
        except Exception as error:  # it is told below, in the thread that waits
            answers.put(error)

    # A thread, because a name server that is silent holds a call for longer than any timeout says.
    threading.Thread(target=ask, daemon=True).start()
    try:
        answer = answers.get(timeout=_DEADLINE)
    except queue.Empty:
        answer = TimeoutError(f"no answer within {_DEADLINE} s")
    if isinstance(answer, RepositoryNotFoundError):
        raise Refused(f"{where}: the hub has no such dataset, or it is private; valid: owner/name") from None
    if isinstance(answer, Exception):
        reason = f"HTTP {_status(answer)}" if isinstance(answer, HfHubHTTPError) else str(answer).strip()
        first = (reason.splitlines() or [type(answer).__name__])[0]
        raise Refused(
            f"{where}: the Hugging Face hub cannot be reached ({first}); use local files with data.path=..., or, if it "
            "was fetched before, set HF_HUB_OFFLINE=1"
        ) from None
    return answer


def _status(error: HfHubHTTPError) -> object:
    return getattr(error.response, "status_code", "error")
