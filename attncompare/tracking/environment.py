"""Where and with what a run was made: enough to tell later why two runs differ."""

import os
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distributions, version
from pathlib import Path
from typing import Any

import torch

_CODE = Path(__file__).parents[2]


def environment(data_fingerprint: str) -> dict[str, Any]:
    """Return package versions, code, Python, machine and threads as plain JSON; no environment variable enters it."""
    return {
        "attncompare": _version("attncompare"),
        "python": platform.python_version(),
        "packages": {dist.name: dist.version for dist in sorted(distributions(), key=lambda dist: dist.name.lower())},
        "git": git_state(_CODE),
        "platform": platform.platform(),
        "cpu": _cpu_name(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "data_fingerprint": data_fingerprint,
    }


def git_state(folder: Path) -> dict[str, str] | None:
    """Return the commit of the code in ``folder``, what differs from it, and the names of files that git does not know.

    None where ``folder`` is no checkout of its own.
    """
    if not (folder / ".git").exists():
        return None
    commit = _git(folder, "rev-parse", "HEAD")
    if commit is None:
        return None
    untracked = _git(folder, "ls-files", "--others", "--exclude-standard") or ""
    return {
        "commit": commit,
        "diff": _git(folder, "diff", "HEAD") or "",
        "untracked": ", ".join(untracked.splitlines()),
    }


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _cpu_name() -> str:
    if sys.platform == "linux":
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()
