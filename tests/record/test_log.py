"""One process at a time trains a run, and a dead one holds no lock."""

import errno
import fcntl
import os
import signal
import subprocess
import sys

import pytest

from attncompare.errors import Refused
from attncompare.record import RunLock, is_locked, log

HOLD = """
import sys, pathlib
from attncompare.record import RunLock
lock = RunLock(pathlib.Path(sys.argv[1]))
print(1, flush=True)
input()
"""


def test_a_second_process_is_refused_until_the_first_lets_go_or_dies(tmp_path):
    assert not is_locked(tmp_path) and list(tmp_path.iterdir()) == []
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, tmp_path], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True
    )
    assert holder.stdout.readline() == "1\n"
    assert is_locked(tmp_path)
    with pytest.raises(Refused, match="another process is training this run"):
        RunLock(tmp_path)
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    assert not is_locked(tmp_path)
    lock = RunLock(tmp_path)
    assert is_locked(tmp_path)
    lock.release()
    assert not is_locked(tmp_path)


def test_a_file_system_without_locks_is_named(tmp_path, monkeypatch):
    def unsupported(*_):
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", unsupported)
    with pytest.raises(Refused, match=r"its file system has no locks \(Function not implemented\)"):
        RunLock(tmp_path)
    assert not is_locked(tmp_path)


def test_the_log_is_not_followed_out_of_the_folder(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.log").symlink_to(tmp_path / "outside")
    with pytest.raises(Refused, match="cannot be trained there"):
        RunLock(tmp_path / "run")
    assert not (tmp_path / "outside").exists()


def test_without_flock_the_lock_is_a_file_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setattr(log, "fcntl", None)
    assert not is_locked(tmp_path) and list(tmp_path.iterdir()) == []
    lock = RunLock(tmp_path)
    assert is_locked(tmp_path)
    with pytest.raises(Refused, match="another process is training this run"):
        RunLock(tmp_path)
    lock.release()
    assert not is_locked(tmp_path)
