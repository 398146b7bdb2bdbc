"""Archives of arrays: what numpy wrote comes back, anything else is an error before it takes memory."""

import io
import zipfile

import numpy as np
import pytest

from attncompare.record.npz import read_arrays


def archive(*members, compression=zipfile.ZIP_DEFLATED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as file:
        for name, content in members:
            file.writestr(name, content)
    return buffer.getvalue()


def npy(array, **options):
    buffer = io.BytesIO()
    np.save(buffer, array, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_arrays_come_back(save):
    arrays = {
        "header": np.frombuffer(b"text", np.uint8),
        "0/cross/weights": np.random.default_rng(0).random((2, 1, 3, 4)).astype(np.float16),
        "0/cross/sure": np.eye(3, 4, dtype=bool),
        "empty": np.zeros((0, 3), np.float16),
    }
    buffer = io.BytesIO()
    save(buffer, **arrays)
    read = read_arrays(buffer.getvalue())
    assert read.keys() == arrays.keys()
    assert all(read[name].dtype == array.dtype and np.array_equal(read[name], array) for name, array in arrays.items())


WEIGHTS = npy(np.ones((2, 2), np.float16))
CASES = {
    "no archive": (b"nothing", "zip"),
    "objects": (archive(("a.npy", npy(np.array([{}], object), allow_pickle=True))), "object"),
    "texts": (archive(("a.npy", npy(np.array(["a"])))), "array of str"),
    "by columns": (archive(("a.npy", npy(np.asfortranarray(np.ones((2, 3), np.float16))))), "by rows"),
    "cut": (archive(("a.npy", WEIGHTS[:-1])), "7 bytes"),
    "not an array": (archive(("a.npy", b"text")), "magic"),
    "another file": (archive(("a.txt", b"text")), "not an array"),
    "another packing": (archive(("a.npy", WEIGHTS), compression=zipfile.ZIP_LZMA), "packed"),
}


@pytest.mark.parametrize("case", CASES)
def test_anything_else_is_an_error(case):
    content, words = CASES[case]
    with pytest.raises(ValueError, match=words):
        read_arrays(content)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_sizes_and_names_are_checked_before_anything_is_unpacked():
    with pytest.raises(ValueError, match="2 arrays"):
        read_arrays(archive(("a.npy", WEIGHTS), ("a.npy", WEIGHTS)))
    bomb = archive(*((f"{number}.npy", bytes(10**6)) for number in range(10)))
    with pytest.raises(ValueError, match=r"10000000 bytes.* 9999999"):
        read_arrays(bomb, largest=9_999_999)
    lie = bytearray(archive(("a.npy", bytes(10**6))))
    place = lie.index(b"PK\x01\x02") + 24  # the unpacked size in the archive's table
    lie[place : place + 4] = (100).to_bytes(4, "little")
    with pytest.raises(ValueError):
        read_arrays(bytes(lie))
