"""A record's files, changed in one place and put back."""

import os
import shutil
from contextlib import contextmanager
from typing import NamedTuple

from hypothesis import strategies as st


class Damage(NamedTuple):
    """What is done to a file: a kind, where in the file (as a share of its length), bytes, and another file."""

    kind: str
    file: str
    where: float
    bytes: bytes
    other: str


KINDS = ("change", "change", "change", "truncate", "insert", "delete", "append", "swap", "copy", "empty")


def damages(files, kinds=KINDS):
    """Draw what to do to one of ``files``: patterns relative to a folder, each of one file."""
    odd = st.binary(min_size=1, max_size=3) | st.sampled_from((b"\n", b"0", b"9", b"-", b'"', b",", b"\0", b"\xff"))
    kind, file, where = st.sampled_from(kinds), st.sampled_from(files), st.floats(0, 1, exclude_max=True)
    return st.builds(Damage, kind=kind, file=file, where=where, bytes=odd, other=st.sampled_from(files))


@contextmanager
def damaged(folder, damage):
    """Do ``damage`` to a file of ``folder``, and undo it; gives whether any byte is another one meanwhile."""
    (file,), (other,) = folder.glob(damage.file), folder.glob(damage.other)
    before = {one: (one.read_bytes(), (one.stat().st_atime_ns, one.stat().st_mtime_ns)) for one in (file, other)}
    content = before[file][0]
    new = _changed(content, before[other][0], damage)
    added = file.with_name(f"step-00000009{file.suffix}")
    try:
        if damage.kind == "copy":
            shutil.copy(file, added)  # a file that the run did not write
        elif new is None:
            file.unlink()
        elif new != content:  # else not even its time may change: of repeated runs the newest counts
            file.write_bytes(new)
            if damage.kind == "swap":
                other.write_bytes(content)
        yield damage.kind == "copy" or new != content
    finally:
        added.unlink(missing_ok=True)
        for one, (was, times) in before.items():
            one.write_bytes(was)
            os.utime(one, ns=times)


def _changed(content, others, damage):
    """Return the new content of the file; None: there is none."""
    place, new = int(damage.where * len(content)), damage.bytes[: len(content)]
    return {
        "change": content[:place] + new[: len(content) - place] + content[place + len(new) :],
        "truncate": content[:place],
        "insert": content[:place] + new + content[place:],
        "append": content + new,
        "swap": others,
        "empty": b"",
        "copy": content,
        "delete": None,
    }[damage.kind]
