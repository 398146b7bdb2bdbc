"""The compiled form of the C++ files beside this one: made at first use, kept in the user's cache, loaded from there.

Its name holds a hash of the sources, the compiler, its flags and the processor, so nothing stale is ever loaded.
"""

import ctypes
import hashlib
import logging
import os
import platform
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path

log = logging.getLogger("attncompare")

_HERE = Path(__file__).parent
_COMPILERS = ("c++", "g++", "clang++")
# Contracting a * b + c into one rounding is meant; all else keeps to IEEE 754: NaN and infinities mean something here.
_FLAGS = ("-O3", "-march=native", "-std=c++17", "-fPIC", "-shared", "-ffp-contract=fast", "-fno-math-errno")
_THREADS = "-fopenmp"  # finds the threads of torch, which is loaded before
_PATIENCE = 300.0  # seconds


@cache
def library() -> ctypes.CDLL | None:
    """Return the compiled library, compiling it where that was not done before; None where it cannot be had.

    Says once, in the log, what the compilation took, or why there is none: the callers' slower forms serve then.
    """
    if os.environ.get("ATTNCOMPARE_NATIVE") == "0":
        log.info("ATTNCOMPARE_NATIVE=0: attention runs without compiled kernels")
        return None
    compiler = cpp_compiler()
    if compiler is None:
        log.info("no C++ compiler (CXX, %s): attention runs without compiled kernels", ", ".join(_COMPILERS))
        return None
    try:
        folder = _folder()
        file = folder / f"{_identity(compiler)}.so"
        if not file.exists():
            _compile(compiler, file)
        return ctypes.CDLL(str(file))
    except (OSError, subprocess.SubprocessError) as error:
        log.warning("attention runs without compiled kernels: %s", error or type(error).__name__)
        return None


def identity() -> str | None:
    """Return the hash by which the compiled library is known, for a run's record; None where there is none."""
    return Path(found._name).stem if (found := library()) is not None else None


def sources() -> list[Path]:
    """Return the C++ files, in the order in which they are compiled."""
    return sorted(_HERE.glob("*.cpp"))


def cpp_compiler() -> str | None:
    """Return the path of a C++ compiler: that of the variable ``CXX``, else the first that is found; None without one."""
    wanted = os.environ.get("CXX")
    return next(filter(None, map(shutil.which, (wanted,) if wanted else _COMPILERS)), None)


def _folder() -> Path:
    """Return where compiled libraries are kept: a folder that nobody else may write to, for what is there is executed.

    Raises:
        OSError: if there is none.
    """
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = base / "attncompare" / "native"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.stat()
    if found.st_uid != os.getuid() or found.st_mode & 0o022:
        raise OSError(f"{folder}: others may write there")
    return folder


def _identity(compiler: str) -> str:
    version = subprocess.run([compiler, "--version"], capture_output=True, check=True, timeout=_PATIENCE).stdout
    parts = [compiler.encode(), version, " ".join((*_FLAGS, _THREADS)).encode(), _processor()]
    parts += [file.read_bytes() for file in (*sorted(_HERE.glob("*.h")), *sources())]
    return hashlib.sha256(b"\0".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()[:32]


def _processor() -> bytes:
    """Return what tells processors apart for which a compiler writes other instructions."""
    try:
        lines = Path("/proc/cpuinfo").read_bytes().splitlines()
    except OSError:
        return f"{platform.machine()} {platform.processor()}".encode()
    return b"\n".join(sorted({line for line in lines if line.startswith((b"model name", b"flags", b"Features"))}))


def _compile(compiler: str, file: Path) -> None:
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(dir=file.parent) as folder:
        made = Path(folder) / file.name
        for flags in _choices():
            command = [compiler, *flags, *map(str, sources()), "-o", str(made)]
            done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE, check=False)
            if done.returncode == 0:
                made.replace(file)  # whoever else compiles it meanwhile has made the same
                log.info("compiled the kernels of attention in %.1f s", time.perf_counter() - began)
                return
    errors = (line for line in done.stderr.splitlines() if "error" in line)
    raise OSError(next(errors, f"{compiler} ended with {done.returncode}"))


def _choices() -> Iterator[tuple[str, ...]]:
    yield (*_FLAGS, _THREADS)
    yield _FLAGS  # a compiler without OpenMP: one thread
