"""With what a run was made: enough to tell later why two runs differ, and nothing secret."""

import logging
import os
import platform
import re
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from importlib.metadata import distributions
from pathlib import Path, PurePosixPath
from typing import Any

from attncompare.config.plain_values import flatten
from attncompare.errors import Refused
from attncompare.text import counted, printable, shortly

LARGEST_DIFF = 2**20  # characters of one file's diff; larger ones are data rather than code
_CODE = Path(__file__).parents[2]
_CPU_INFO = Path("/proc/cpuinfo")
_MOST_THREADS = 1024
# Instructions that libraries choose their way of computing by; another way rounds otherwise.
_COMPUTES = re.compile(r"sse4_[12]|avx\w*|fma|f16c|amx\w*|\w*bf16\w*|\w*vnni\w*|asimd\w*|sve\w*|i8mm|fphp|sme\d?")
# What differs is told in this order. Other data gives another run at once; another torch, thread count or processor
# rounds otherwise; the rest, which stands where "" does, rarely matters.
_ORDER = (
    *("data_fingerprint", "packages.torch", "threads", "device", "cpu_capability", "cpu_features", "cpu", "kernels"),
    *("git.commit", "git.diff", "git.untracked", "git.left_out", "git"),
    *("attncompare", "python", "", "cores", "platform"),
)
# Names of files and folders, in small letters, that may hold secrets.
_SECRET_NAMES = (
    *(".env*", "*.env", ".netrc", "_netrc", ".npmrc", ".pypirc", ".git-credentials", ".htpasswd", "credentials*"),
    *("*.pem", "*.key", "*.p12", "*.pfx", "*.jks", "*.keystore", "*.kdbx", "*.asc", "*.ppk", "*secret*", "id_rsa*"),
    *("*kubeconfig*", "id_dsa*", "id_ecdsa*", "id_ed25519*", ".ssh", ".aws", ".azure", ".kube", ".gnupg", ".docker"),
)
# Each is searched in time linear in a file's length: no two starts scan the same characters to the end of a long run.
_SECRETS = (
    r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY",
    r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",  # Amazon
    r"\bgh[pousr]_\w{20,}|\bgithub_pat_\w{20,}|\bglpat-[\w-]{16,}",  # GitHub, GitLab
    r"\bsk-[\w-]{16,}|\bhf_\w{16,}|\bxox[a-z]-[\w-]{10,}|\bAIza[\w-]{30,}",  # OpenAI, Hugging Face, Slack, Google
    r"\bpypi-[\w-]{16,}|\bnpm_\w{20,}|\bwandb_v\d_\w{16,}",
    r"(?<![\w-])eyJ[\w-]{10,}+\.eyJ[\w-]{10,}+\.",  # a JSON web token
    r"[a-z0-9+.-]://[^\s/:@\"'{]++:[^\s/@\"'{]++@",  # user:password@host
    # A long number behind a telling word, as W&B's 40 digits are, or any quoted word behind one.
    r"(?i:key|token|passw|pwd|secret|credential)[^\n]{0,40}\b[0-9a-fA-F]{32,}\b",
    r"(?i:api_?key|access_?key|token|passw(?:or)?d|pwd|secret|credential)s?[\"']?\s*[:=]\s*[\"'][^\"'\s]{8,}[\"']",
)
_SECRET = re.compile("|".join(_SECRETS))

# The facts that say on which machine a run was trained.
MACHINE = ("cpu", "cpu_features", "device")

log = logging.getLogger("attncompare")


def environment(data_fingerprint: str) -> dict[str, Any]:
    """Return package versions, code, Python, machine and threads as plain JSON; no environment variable enters it."""
    import torch

    from attncompare.attention.kernels.build import identity

    packages = _packages()
    return {
        "attncompare": packages.get("attncompare"),
        "python": platform.python_version(),
        "packages": packages,
        "git": git_state(_CODE),
        "platform": platform.platform(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        **processor(),
        "blas": {"mkl": torch.backends.mkl.is_available(), "mkldnn": torch.backends.mkldnn.is_available()},
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "kernels": identity(),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "load": _load(),
        "data_fingerprint": data_fingerprint,
    }


@cache
def _packages() -> dict[str, str]:
    """Return the versions of all installed packages; each name is read from a file, which adds up."""
    found = [(dist.name, dist.version) for dist in distributions()]
    return dict(sorted(found, key=lambda package: package[0].lower()))


def recorded_threads(environment: dict[str, Any], source: str | Path) -> int | None:
    """Return the CPU threads of a run, by which sums are rounded in their order; None where the record does not say.

    Refused is what is no number of threads; ``source`` begins the message.
    """
    threads = environment.get("threads")
    if threads is not None and (type(threads) is not int or not 1 <= threads <= _MOST_THREADS):
        valid = f"valid: a whole number from 1 to {_MOST_THREADS}"
        raise Refused(f"{source}: its environment says threads={shortly(threads)}; {valid}")
    return threads


def processor() -> dict[str, Any]:
    """Return the processor's name and instruction sets, as :func:`environment` records them."""
    return {"cpu": _cpu_facts().get("model name") or platform.processor(), "cpu_features": cpu_features()}


def cpu_features() -> list[str]:
    """Return the instruction sets that matter for numbers, sorted; none where the system does not tell them."""
    flags = _cpu_facts().get("flags") or _cpu_facts().get("Features", "")
    return sorted({flag for flag in flags.split() if _COMPUTES.fullmatch(flag)})


@cache
def _cpu_facts() -> dict[str, str]:
    first = _CPU_INFO.read_text().partition("\n\n")[0] if _CPU_INFO.exists() else ""
    return {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in first.splitlines())}


def git_state(folder: Path) -> dict[str, Any] | None:
    """Return the commit of the code in ``folder`` and what differs from it; None where it is no checkout of its own.

    ``diff`` has no file that looks like a secret, by its name or by a line: ``left_out`` names those. ``untracked``
    names the files that git does not know.
    """
    commit = _git(folder, "rev-parse", "HEAD") if (folder / ".git").exists() else None
    if commit is None:
        return None
    # As git writes it where nobody has set anything: no other prefixes, no renames, no program for showing files.
    plain = ("--no-ext-diff", "--no-textconv", "--no-color", "--no-renames", "--src-prefix=a/", "--dst-prefix=b/")
    diff, left_out = without_secrets(_git(folder, "diff", *plain, "HEAD") or "")
    if left_out:
        log.warning("left out of the recorded diff, as they look like secrets or data: %s", ", ".join(left_out))
    untracked = ", ".join((_git(folder, "ls-files", "--others", "--exclude-standard") or "").splitlines())
    return {"commit": commit.strip(), "diff": diff, "untracked": untracked, "left_out": left_out}


def _git(folder: Path, *arguments: str) -> str | None:
    command = ["git", "-C", str(folder), "-c", "core.quotePath=false", *arguments]
    try:
        return subprocess.run(command, capture_output=True, check=True).stdout.decode(errors="replace")
    except (OSError, subprocess.CalledProcessError):
        return None


def without_secrets(diff: str) -> tuple[str, list[str]]:
    """Return a diff without the files that look secret or are too large to be code, and the names of those.

    The diff is one that git wrote with ``a/`` and ``b/`` and without renames.
    """
    kept, left_out = [], []
    for part in re.split(r"^(?=diff --git )", diff, flags=re.MULTILINE)[1:]:
        names = part.partition("\n")[0].removeprefix("diff --git ")  # a/NAME b/NAME, whatever blanks NAME holds
        name = names[: len(names) // 2].strip().strip('"').removeprefix("a/")
        if len(part) > LARGEST_DIFF or looks_secret(name, part):
            left_out.append(name)
        else:
            kept.append(part)
    return "".join(kept), left_out


def looks_secret(name: str, content: str) -> bool:
    """Return whether a file's name, or what its diff shows of it, looks like a key or a password."""
    parts = [part.lower() for part in PurePosixPath(name).parts]
    telling = any(fnmatchcase(part, pattern) for part in parts for pattern in _SECRET_NAMES)
    return telling or _SECRET.search(content) is not None


@dataclass(frozen=True)
class Change:
    """One thing that is not as it was when a run was made; of long texts only how long they are."""

    what: str
    recorded: Any
    now: Any

    def __str__(self) -> str:
        if isinstance(self.recorded, list) and isinstance(self.now, list):
            before, after = ({str(one) for one in values} for values in (self.recorded, self.now))
            gone, new = (shortly(" ".join(sorted(some))) for some in (before - after, after - before))
            return printable(f"{self.what}: only in the record {gone}; only now {new}")
        return printable(f"{self.what}: {shortly(self.recorded)} in the record, {shortly(self.now)} now")


def _load() -> float | None:
    """Return how many processes waited for each core in the minute before, other runs of a sweep among them."""
    try:
        return round(os.getloadavg()[0] / (os.cpu_count() or 1), 1)
    except (AttributeError, OSError):  # Windows counts none
        return None


def changes(recorded: dict[str, Any], now: dict[str, Any]) -> list[Change]:
    """Return what differs between two environments, the most likely to change numbers first.

    What ``recorded``, the content of ``environment.json`` or some of it, lacks is not compared with ``now``.
    """
    before, after = _flat(recorded), _flat({key: value for key, value in now.items() if key in recorded})
    found = [
        Change(key, _size_of(key, before.get(key)), _size_of(key, after.get(key)))
        for key in before.keys() | after.keys()
        if key != "load" and (before.get(key) or None) != (after.get(key) or None)  # load changes no number
    ]
    places = {what: place for place, what in enumerate(_ORDER)}
    return sorted(found, key=lambda change: (places.get(change.what, places[""]), change.what))


def said(found: Iterable[Change]) -> list[str]:
    """Return ``found`` in words, a line each; all packages but torch, which are many and matter little, in one."""
    prefix = "packages."
    packages = [one for one in found if one.what.startswith(prefix) and one.what != f"{prefix}torch"]
    lines = [str(one) for one in found if one not in packages]
    if packages:
        names = ", ".join(one.what.removeprefix(prefix) for one in packages)
        lines.append(printable(f"packages: {counted(len(packages), 'other package')} with another version: {names}"))
    return lines


def _flat(environment: dict[str, Any]) -> dict[str, Any]:
    packages = environment.get("packages")
    if isinstance(packages, dict):  # one package has several spellings, and each tool its own
        spelled = {re.sub(r"[-_.]+", "-", str(name)).lower(): version for name, version in packages.items()}
        environment = {**environment, "packages": spelled}
    return flatten(environment)


def _size_of(key: str, value: Any) -> Any:
    if key == "git.diff" and value:
        return counted(len(str(value).splitlines()), "line")
    return counted(len(str(value).split(", ")), "file") if key == "git.untracked" and value else value
