"""The machine that figures belong to."""

import os
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from attncompare.training.machine import total_memory

_PACKAGES = ("torch", "numpy", "pytorch-lightning", "hydra-core", "wandb", "transformers", "x-transformers", "triton")


def machine_facts(device: str) -> dict[str, Any]:
    """Return processor, cores, threads, memory, versions, commit and date as plain JSON; imports torch.

    ``commit`` ends in ``+`` where files differ from it; None outside of a checkout.
    """
    import torch

    from attncompare.attention.kernels.library import identity
    from attncompare.record import cpu_features, git_state

    git = git_state(Path(__file__).parents[2])
    return {
        "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
        "cpu": _processor(),
        "cpu_features": cpu_features(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "memory_bytes": total_memory(),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "packages": {name: found for name in _PACKAGES if (found := _version(name))},
        "kernels": identity(),
        "commit": None if git is None else git["commit"] + ("+" if git["diff"] else ""),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def machine_line(facts: Mapping[str, Any]) -> str:
    """Return ``facts`` as one line."""
    memory = facts["memory_bytes"]
    parts = [
        *([facts["device"]] if facts["device"] != "cpu" else []),
        facts["cpu"],
        f"{facts['cores']} cores",
        f"{facts['threads']} thread{'' if facts['threads'] == 1 else 's'}",
        *([f"{memory / 2**30:.0f} GiB"] if memory else []),
        f"Python {facts['python']}",
        *(f"{name} {found}" for name, found in facts["packages"].items() if name == "torch"),
        f"compiled loops {'present' if facts['kernels'] else 'absent'}",
        *([f"commit {facts['commit'][:10]}{'+' * facts['commit'].endswith('+')}"] if facts["commit"] else []),
        facts["date"][:10],
    ]
    return ", ".join(parts)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine())


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
