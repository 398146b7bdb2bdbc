"""Where and with what a run was made: enough to tell later why two runs differ, and nothing secret."""

import logging
import os
import platform
import re
import subprocess
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, distributions, version
from pathlib import Path
from typing import Any

import torch

from attncompare.attention.kernels.build import identity
from attncompare.record.redaction import without_secrets

_CODE = Path(__file__).parents[2]
_CPU_INFO = Path("/proc/cpuinfo")
# Instructions that libraries choose their way of computing by; another way rounds otherwise.
_COMPUTES = re.compile(r"sse4_[12]|avx\w*|fma|f16c|amx\w*|\w*bf16\w*|\w*vnni\w*|asimd\w*|sve\w*|i8mm|fphp|sme\d?")

log = logging.getLogger("attncompare")


def environment(data_fingerprint: str) -> dict[str, Any]:
    """Return package versions, code, Python, machine and threads as plain JSON; no environment variable enters it."""
    return {
        "attncompare": _version("attncompare"),
        "python": platform.python_version(),
        "packages": {dist.name: dist.version for dist in sorted(distributions(), key=lambda dist: dist.name.lower())},
        "git": git_state(_CODE),
        "platform": platform.platform(),
        "cpu": _cpu_line("model name") or platform.processor(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "cpu_features": cpu_features(),
        "blas": {"mkl": torch.backends.mkl.is_available(), "mkldnn": torch.backends.mkldnn.is_available()},
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "kernels": identity(),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "data_fingerprint": data_fingerprint,
    }


def cpu_features() -> list[str]:
    """Return the instruction sets that matter for numbers, sorted; none where the system does not tell them."""
    flags = (_cpu_line("flags") or _cpu_line("Features")).split()
    return sorted({flag for flag in flags if _COMPUTES.fullmatch(flag)})


def git_state(folder: Path) -> dict[str, Any] | None:
    """Return the commit of the code in ``folder`` and what differs from it; None where it is no checkout of its own.

    ``diff`` has no file that looks like a secret, by its name or by a line: ``left_out`` names those. ``untracked``
    names the files that git does not know.
    """
    if not (folder / ".git").exists():
        return None
    commit = _git(folder, "rev-parse", "HEAD")
    if commit is None:
        return None
    # As git writes it where nobody has set anything: no other prefixes, no renames, no program for showing files.
    plain = ("--no-ext-diff", "--no-textconv", "--no-color", "--no-renames", "--src-prefix=a/", "--dst-prefix=b/")
    diff, left_out = without_secrets(_git(folder, "diff", *plain, "HEAD") or "")
    if left_out:
        log.warning("left out of the recorded diff, as they look like secrets or data: %s", ", ".join(left_out))
    untracked = _git(folder, "ls-files", "--others", "--exclude-standard") or ""
    return {
        "commit": commit.strip(),
        "diff": diff,
        "untracked": ", ".join(untracked.splitlines()),
        "left_out": left_out,
    }


def _git(folder: Path, *arguments: str) -> str | None:
    command = ["git", "-C", str(folder), "-c", "core.quotePath=false", *arguments]
    try:
        done = subprocess.run(command, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.decode(errors="replace")


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _cpu_line(key: str) -> str:
    """Return what Linux says of the first processor under ``key``, nothing where there is no such line."""
    return next((value for name, value in _cpu_facts() if name == key), "")


@cache
def _cpu_facts() -> list[tuple[str, str]]:
    if sys.platform != "linux":
        return []
    lines = [line.partition(":") for line in _CPU_INFO.read_text().splitlines()]
    return [(name.strip(), value.strip()) for name, _, value in lines]
