"""Which parts of a code's diff may enter a record: none that look like a secret. Too careful rather than too trusting."""

import re
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

LARGEST = 2**20
"""Characters of one file's diff; larger ones are data rather than code."""

# Names of files and folders, in small letters.
_NAMES = (
    *(".env*", "*.env", ".netrc", "_netrc", ".npmrc", ".pypirc", ".git-credentials", ".htpasswd", "credentials*"),
    *(
        "*.pem",
        "*.key",
        "*.p12",
        "*.pfx",
        "*.jks",
        "*.keystore",
        "*.kdbx",
        "*.asc",
        "*.ppk",
        "*secret*",
        "*kubeconfig*",
    ),
    *("id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*", ".ssh", ".aws", ".azure", ".kube", ".gnupg", ".docker"),
)
_CONTENTS = re.compile(
    "|".join(
        (
            r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY",
            r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",  # Amazon
            r"\bgh[pousr]_\w{20,}|\bgithub_pat_\w{20,}|\bglpat-[\w-]{16,}",  # GitHub, GitLab
            r"\bsk-[\w-]{16,}|\bhf_\w{16,}|\bxox[a-z]-[\w-]{10,}|\bAIza[\w-]{30,}",  # OpenAI, Hugging Face, Slack, Google
            r"\bpypi-[\w-]{16,}|\bnpm_\w{20,}|\bwandb_v\d_\w{16,}",
            r"\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.",  # a JSON web token
            r"[a-z][a-z0-9+.-]*://[^\s/:@\"'{]+:[^\s/@\"'{]+@",  # user:password@host
            # A long number behind a telling word, as W&B's 40 digits are, or any quoted word behind one.
            r"(?i:key|token|passw|pwd|secret|credential)[^\n]{0,40}\b[0-9a-fA-F]{32,}\b",
            r"(?i:api_?key|access_?key|token|passw(?:or)?d|pwd|secret|credential)s?[\"']?\s*[:=]\s*[\"'][^\"'\s]{8,}[\"']",
        )
    )
)


def split_diff(diff: str) -> list[tuple[str, str]]:
    """Return the name and the part of each file in a diff that git wrote with ``a/`` and ``b/`` and without renames."""
    parts = re.split(r"^(?=diff --git )", diff, flags=re.MULTILINE)
    return [(_name(part.partition("\n")[0]), part) for part in parts if part.startswith("diff --git ")]


def looks_secret(name: str, content: str) -> bool:
    """Return whether a file's name, or what its diff shows of it, looks like a key or a password."""
    parts = [part.lower() for part in PurePosixPath(name).parts]
    if any(fnmatchcase(part, pattern) for part in parts for pattern in _NAMES):
        return True
    return _CONTENTS.search(content) is not None


def without_secrets(diff: str) -> tuple[str, list[str]]:
    """Return ``diff`` without the files that look secret or are too large to be code, and the names of those."""
    kept, left_out = [], []
    for name, part in split_diff(diff):
        if len(part) > LARGEST or looks_secret(name, part):
            left_out.append(name)
        else:
            kept.append(part)
    return "".join(kept), left_out


def _name(header: str) -> str:
    """Return the name in ``diff --git a/NAME b/NAME``, whatever blanks it holds; git puts odd ones into quotes."""
    names = header.removeprefix("diff --git ")
    return names[: len(names) // 2].strip().strip('"').removeprefix("a/")
