"""The compiled form of the C++ files beside this one, how tensors reach it, and whether Triton is installed.

The library is compiled at first use and stored in the user's cache under a hash of the sources, the compiler, its flags
and the processor, and one of its content: nothing stale or damaged is loaded.
"""

import ctypes
import hashlib
import logging
import os
import platform
import shlex
import shutil
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable
from functools import cache, wraps
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock
from torch import Tensor

log = logging.getLogger("attncompare")

_HERE = Path(__file__).parent
_COMPILERS = ("c++", "g++", "clang++")
# Contracting a * b + c into one rounding is allowed; all else keeps to IEEE 754: NaN and infinities mean something here.
_FLAGS = ("-O3", "-march=native", "-std=c++17", "-fPIC", "-shared", "-ffp-contract=fast", "-fno-math-errno")
_THREADS = "-fopenmp"  # finds the threads of torch, which is loaded before
_TIMEOUT = 300.0  # seconds
_TYPES = (torch.float32, torch.bfloat16, torch.float16)  # those that kernels compute in float32


@cache
def library() -> ctypes.CDLL | None:
    """Return the compiled library, compiled now if it never was; None where there is none (one line in the log says why).

    The environment variable ``ATTNCOMPARE_NATIVE=0`` asks for none, ``CXX`` names the compiler.
    """
    if os.environ.get("ATTNCOMPARE_NATIVE") == "0":
        log.info("ATTNCOMPARE_NATIVE=0: attention runs without compiled kernels")
        return None
    compiler = cpp_compiler()
    if compiler is None:
        log.info("no C++ compiler (CXX, %s): attention runs without compiled kernels", ", ".join(_COMPILERS))
        return None
    try:
        folder, name = private_folder("native"), _identity(compiler)
        with FileLock(folder / "lock", timeout=_TIMEOUT):  # of several new processes, one compiles
            file = _stored(folder, name) or _compile(compiler, folder, name)
        return ctypes.CDLL(str(file))
    except (OSError, RuntimeError, ValueError, subprocess.SubprocessError) as error:
        log.warning("attention runs without compiled kernels: %s", error or type(error).__name__)
        return None


def identity() -> str | None:
    """Return the hash that names the compiled library, for a run's record; None where there is none."""
    return Path(found._name).name.partition("-")[0] if (found := library()) is not None else None


def sources() -> list[Path]:
    """Return the C++ files, in the order in which they are compiled."""
    return sorted(_HERE.glob("*.cpp"))


def cpp_compiler() -> list[str] | None:
    """Return the command of a C++ compiler: that of the variable ``CXX``, else the first that is found; None without one."""
    chosen = shlex.split(os.environ.get("CXX", ""))
    for command in [chosen] if chosen else [[name] for name in _COMPILERS]:
        if found := shutil.which(command[0]):
            return [found, *command[1:]]
    return None


def private_folder(name: str) -> Path:
    """Return a folder for what this package has compiled. As that is executed, nobody else may write there.

    Raises:
        OSError: if others could write there or put another folder in its place, there is no home folder, or the system
            (Windows) does not tell.
    """
    if not hasattr(os, "getuid"):
        raise OSError("no folder for compiled code: this system does not say who may write where")
    home = os.environ.get("XDG_CACHE_HOME") or (os.environ.get("HOME") and os.path.expanduser("~/.cache"))  # noqa: PTH111
    if not home:
        raise OSError("no folder for compiled code: neither HOME nor XDG_CACHE_HOME is set")
    folder = Path(home).resolve() / "attncompare" / name
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for place in (folder, *folder.parents):
        found = place.lstat()
        # Where the sticky bit is set, as in /tmp, each may rename only what is their own.
        shared = found.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not (
            place != folder and found.st_mode & stat.S_ISVTX
        )
        if shared or found.st_uid not in (os.getuid(), 0) or not stat.S_ISDIR(found.st_mode):
            raise OSError(f"{place}: others may write there")
    return folder


def _stored(folder: Path, name: str) -> Path | None:
    """Return the library of this name if it is whole: its file is called ``<name>-<hash of its content>.so``."""
    for file in folder.glob(f"{name}-*.so"):
        if file.stem.partition("-")[2] == _content_hash(file):
            return file
        file.unlink()
    return None


def _content_hash(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()[:32]


def _identity(compiler: list[str]) -> str:
    version = subprocess.run([*compiler, "--version"], capture_output=True, check=True, timeout=_TIMEOUT).stdout
    parts = ["\0".join(compiler).encode(), version, " ".join((*_FLAGS, _THREADS)).encode(), _processor()]
    parts += [file.read_bytes() for file in (*sorted(_HERE.glob("*.h")), *sources())]
    return hashlib.sha256(b"\0".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()[:32]


def _processor() -> bytes:
    """Return what tells processors apart for which a compiler writes other instructions."""
    try:
        lines = Path("/proc/cpuinfo").read_bytes().splitlines()
    except OSError:
        return f"{platform.machine()} {platform.processor()}".encode()
    return b"\n".join(sorted({line for line in lines if line.startswith((b"model name", b"flags", b"Features"))}))


def _compile(compiler: list[str], folder: Path, name: str) -> Path:
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        made = Path(scratch) / "library.so"
        for flags in ((*_FLAGS, _THREADS), _FLAGS):  # a compiler without OpenMP: one thread
            command = [*compiler, *flags, *map(str, sources()), "-o", str(made)]
            done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT, check=False)
            if done.returncode == 0:
                with made.open("rb") as content:
                    os.fsync(content.fileno())  # before it gets its name: else a loss of power could leave half of it
                file = made.rename(folder / f"{name}-{_content_hash(made)}.so")
                log.info("compiled the kernels of attention in %.1f s", time.perf_counter() - began)
                return file
    errors = (line for line in done.stderr.splitlines() if "error" in line)
    raise OSError(next(errors, f"{compiler[0]} ended with {done.returncode}"))


def serves(tensor: Tensor) -> bool:
    """Return whether the compiled kernels take ``tensor``: on the CPU, float32 or less, and there is a library.

    Not while torch.compile traces a model: it knows no addresses, and fuses the plain forms itself.
    """
    if torch.compiler.is_compiling():
        return False
    return tensor.device.type == "cpu" and tensor.dtype in _TYPES and library() is not None


def compiled() -> ctypes.CDLL:
    """Return the library, after :func:`serves` said that there is one."""
    found = library()
    assert found is not None
    return found


def at(tensor: Tensor | None) -> ctypes.c_void_p:
    """Return the address of a tensor's numbers, a null pointer for None."""
    return ctypes.c_void_p(None if tensor is None else tensor.data_ptr())


@cache
def has_triton() -> bool:
    """Return whether Triton, which comes with torch's builds for CUDA, is installed; the log says once if it is not."""
    if find_spec("triton") is None:
        log.info("no triton: additive attention runs without kernels on the GPU")
        return False
    return True


def triton_serves(tensor: Tensor) -> bool:
    """Return whether the Triton kernels take ``tensor``: on a CUDA device, float32 or less, and Triton is installed."""
    return tensor.device.type == "cuda" and tensor.dtype in _TYPES and has_triton()


_left_alone: dict[str, Callable[..., Any]] = {}


def left_alone(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``function`` so that a compiled model calls it as it is, between two graphs (:func:`before_compiling`)."""
    name = f"{function.__module__}.{function.__qualname__}"
    _left_alone[name] = function

    @wraps(function)
    def call(*arguments: Any) -> Any:
        return _left_alone[name](*arguments)

    return call


def before_compiling() -> None:
    """Tell torch.compile which functions to leave alone.

    ``torch.compiler.disable`` imports the compiler, which takes seconds, so only a process that compiles calls this.

    Raises:
        OSError: if there is no folder for what it compiles (:func:`private_folder`).
    """
    # By default torch executes what stands in a folder of /tmp that anybody could have made before.
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(private_folder("torch")))
    for name, function in _left_alone.items():
        if not hasattr(function, "_torchdynamo_orig_callable"):
            _left_alone[name] = torch.compiler.disable(function)
