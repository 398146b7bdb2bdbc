"""Files from fixed addresses, fetched once into the cache of ``datasets`` and unpacked there."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp
from datasets import DownloadConfig, DownloadManager

from attncompare.data.corpora.reading import told_in_one_line
from attncompare.errors import AttnCompareError, Refused

_ANSWER = 10  # seconds without a byte


def fetched(addresses: Mapping[str, str], what: str) -> dict[str, Path]:
    """Return the local copy of each address; what was fetched before needs no network.

    Args:
        addresses: by any key.
        what: the key of the config that asked, for the message.

    Raises:
        Refused: if one cannot be fetched; it names the local alternative.
    """
    timeout = aiohttp.ClientTimeout(total=None, connect=_ANSWER, sock_connect=_ANSWER, sock_read=_ANSWER)
    options: dict[str, Any] = {name: {"client_kwargs": {"timeout": timeout}} for name in ("http", "https")}
    manager = DownloadManager(download_config=DownloadConfig(use_etag=False, storage_options=options))
    copies = {}
    for key, address in addresses.items():
        try:
            with told_in_one_line(what):
                copies[key] = Path(manager.download_and_extract(address))
        except AttnCompareError as error:
            raise Refused(
                f"{what}: {address} cannot be fetched; check the network, or use local files with data.path=..."
            ) from error
    return copies
