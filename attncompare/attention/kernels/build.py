"""The compiled form of the C++ files beside this one, how tensors reach it, and whether Triton is installed.

The library is compiled at first use and stored in the user's cache under a hash of the sources, the compiler, its flags
and the processor, so nothing stale is ever loaded.
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
from collections.abc import Callable
from functools import cache, wraps
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
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
        file = _folder() / f"{_identity(compiler)}.so"
        if not file.exists():
            _compile(compiler, file)
        return ctypes.CDLL(str(file))
    except (OSError, subprocess.SubprocessError) as error:
        log.warning("attention runs without compiled kernels: %s", error or type(error).__name__)
        return None


def identity() -> str | None:
    """Return the hash that names the compiled library, for a run's record; None where there is none."""
    return Path(found._name).stem if (found := library()) is not None else None


def sources() -> list[Path]:
    """Return the C++ files, in the order in which they are compiled."""
    return sorted(_HERE.glob("*.cpp"))


def cpp_compiler() -> str | None:
    """Return the path of a C++ compiler: that of the variable ``CXX``, else the first that is found; None without one."""
    chosen = os.environ.get("CXX")
    return next(filter(None, map(shutil.which, (chosen,) if chosen else _COMPILERS)), None)


def _folder() -> Path:
    """Return the folder of compiled libraries; as they are executed, nobody else may write there (OSError)."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "attncompare" / "native"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.stat()
    if found.st_uid != os.getuid() or found.st_mode & 0o022:
        raise OSError(f"{folder}: others may write there")
    return folder


def _identity(compiler: str) -> str:
    version = subprocess.run([compiler, "--version"], capture_output=True, check=True, timeout=_TIMEOUT).stdout
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
        for flags in ((*_FLAGS, _THREADS), _FLAGS):  # a compiler without OpenMP: one thread
            command = [compiler, *flags, *map(str, sources()), "-o", str(made)]
            done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT, check=False)
            if done.returncode == 0:
                made.replace(file)  # atomic: another process that compiles at the same time makes the same file
                log.info("compiled the kernels of attention in %.1f s", time.perf_counter() - began)
                return
    errors = (line for line in done.stderr.splitlines() if "error" in line)
    raise OSError(next(errors, f"{compiler} ended with {done.returncode}"))


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
    """
    for name, function in _left_alone.items():
        if not hasattr(function, "_torchdynamo_orig_callable"):
            _left_alone[name] = torch.compiler.disable(function)
