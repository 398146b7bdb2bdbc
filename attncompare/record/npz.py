"""Numpy's archives of arrays, read without trusting what they say of themselves.

A zip can unfold into far more than its own size, and an array's header can claim any shape: sizes are added up before
anything is unpacked, and shapes are held against the bytes that are there. Arrays of Python objects are never read.
"""

import math
import zipfile
import zlib
from io import BytesIO
from pathlib import PurePosixPath

import numpy as np
from numpy.lib import format as npy

LARGEST = 256 * 2**20
"""Bytes of all arrays of one archive together, unpacked."""
_MOST = 20_000  # arrays of one archive
_DTYPES = ("uint8", "bool", "float16")


def read_arrays(content: bytes, largest: int = LARGEST) -> dict[str, np.ndarray]:
    """Return the arrays of an npz by name; they cannot be written to.

    Args:
        content: the archive.
        largest: bytes of all arrays together.

    Raises:
        ValueError: if it is damaged, unfolds into more than ``largest`` bytes, or holds anything but plain arrays.
    """
    try:
        with zipfile.ZipFile(BytesIO(content)) as archive:
            members = archive.infolist()
            _check_members(members, largest)
            return {member.filename.removesuffix(".npy"): _array(archive, member) for member in members}
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError) as error:
        raise ValueError(str(error) or type(error).__name__) from None


def _check_members(members: list[zipfile.ZipInfo], largest: int) -> None:
    total = sum(member.file_size for member in members)
    if total > largest:
        raise ValueError(f"it unfolds into {total} bytes; at most {largest} are read")
    names = [member.filename for member in members]
    if len(names) > _MOST or len(set(names)) < len(names):
        raise ValueError(f"{len(names)} arrays, {len(set(names))} of different names")
    for member in members:
        parts = PurePosixPath(member.filename).parts
        odd = member.filename.startswith("/") or ".." in parts or "\\" in member.filename
        if odd or not member.filename.endswith(".npy") or not member.filename.isprintable():
            raise ValueError(f"it holds {member.filename!r}, which is no array")
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ValueError(f"{member.filename} is packed in a way that numpy does not use")


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    stream = BytesIO(archive.read(member))
    if npy.read_magic(stream) != (1, 0):
        raise ValueError(f"{member.filename}: not an array of format 1.0")
    shape, by_columns, dtype = npy.read_array_header_1_0(stream)
    if dtype.name not in _DTYPES or by_columns:
        raise ValueError(f"{member.filename}: an array of {dtype.name}; valid: {', '.join(_DTYPES)}, by rows")
    rest = stream.read()
    if min(shape, default=1) < 0 or math.prod(shape) * dtype.itemsize != len(rest):
        raise ValueError(f"{member.filename}: says it has shape {shape}, but holds {len(rest)} bytes")
    return np.frombuffer(rest, dtype).reshape(shape)
