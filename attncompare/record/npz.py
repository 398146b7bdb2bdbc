"""Numpy's archives of arrays, read without trusting what they say of themselves.

A zip can unfold into far more than its own size, and an array's header can claim any shape: sizes are added up before
anything is unpacked, and shapes are held against the bytes that are there. Arrays of Python objects are never read.
"""

import math
import zipfile
import zlib
from io import BytesIO

import numpy as np
from numpy.lib import format as npy

LARGEST = 256 * 2**20  # bytes of all arrays of one archive together, unpacked
_MOST = 20_000  # arrays of one archive
_DTYPES = ("uint8", "bool", "float16")


def read_arrays(content: bytes, largest: int = LARGEST) -> dict[str, np.ndarray]:
    """Return the arrays of an npz by name; they cannot be written to.

    Raises ValueError if it is damaged, unfolds into more than ``largest`` bytes, or holds anything but plain arrays."""
    try:
        with zipfile.ZipFile(BytesIO(content)) as archive:
            members = archive.infolist()
            names, total = {member.filename for member in members}, sum(member.file_size for member in members)
            if total > largest or len(members) > _MOST or len(names) < len(members):
                raise ValueError(f"{len(members)} arrays of {total} bytes; at most {_MOST} of {largest} are read")
            if any(member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for member in members):
                raise ValueError("packed in a way that numpy does not use")
            return {name.removesuffix(".npy"): _array(name, archive.read(name)) for name in names}
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError) as error:
        raise ValueError(str(error) or type(error).__name__) from None


def _array(name: str, content: bytes) -> np.ndarray:
    stream = BytesIO(content)
    if not name.endswith(".npy") or npy.read_magic(stream) != (1, 0):
        raise ValueError(f"{name!r}: not an array of format 1.0")
    shape, by_columns, dtype = npy.read_array_header_1_0(stream)
    rest = stream.read()
    if dtype.name not in _DTYPES or by_columns:
        raise ValueError(f"{name!r}: an array of {dtype.name}; valid: {', '.join(_DTYPES)}, by rows")
    if min(shape, default=1) < 0 or math.prod(shape) * dtype.itemsize != len(rest):
        raise ValueError(f"{name!r}: says it has shape {shape}, but holds {len(rest)} bytes")
    return np.frombuffer(rest, dtype).reshape(shape)
