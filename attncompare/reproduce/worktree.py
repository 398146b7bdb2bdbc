"""The code of another commit, beside the one that runs, for as long as it is needed."""

import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from attncompare.errors import Refused
from attncompare.training.interrupts import stoppable

_COMMIT = re.compile(r"[0-9a-f]{40}")


def require_commit(repository: Path, commit: object, source: str) -> str:
    """Return ``commit`` if it can be checked out from ``repository``.

    Args:
        repository: the folder that holds the package.
        commit: what a record says; a stranger may have written it.
        source: the record, for the message.

    Raises:
        Refused: if it is no full commit id, if the code has no repository, or if that does not hold the commit.
    """
    if commit is None:
        raise Refused(f"{source}: --exact-code: the record names no commit of the code")
    if not isinstance(commit, str) or not _COMMIT.fullmatch(commit):
        raise Refused(f"{source}: --exact-code: git.commit={str(commit)[:60]!r} is no commit; valid: 40 hex digits")
    if not (repository / ".git").exists():
        raise Refused(
            "--exact-code: this attncompare was installed without its repository; run it from a clone that holds "
            f"the commit {commit}"
        )
    if _git(repository, "cat-file", "-e", f"{commit}^{{commit}}").returncode:
        raise Refused(
            f"{source}: --exact-code: the commit {commit} is not in this repository; `git fetch` may bring it"
        )
    return commit


@contextmanager
def worktree(repository: Path, commit: str) -> Iterator[Path]:
    """Check ``commit`` out into a new folder; it is gone afterwards, whatever happened in between.

    Hooks of the repository do not run.

    Raises:
        Refused: if git cannot, with its reason.
    """
    with stoppable(), tempfile.TemporaryDirectory(prefix="attncompare-code-") as scratch:
        folder = Path(scratch).resolve() / "code"
        try:
            done = _git(repository, "worktree", "add", "--quiet", "--detach", str(folder), commit)
            if done.returncode:
                raise Refused(f"--exact-code: git worktree: {done.stderr.strip().splitlines()[-1]}")
            yield folder
        finally:
            _git(repository, "worktree", "remove", "--force", str(folder))


def _git(repository: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run git in a session of its own, where Ctrl-C does not reach it: cleaning up must come to its end."""
    command = ["git", "-C", str(repository), "-c", f"core.hooksPath={os.devnull}", *arguments]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False, start_new_session=True)
    except OSError as error:
        raise Refused(f"--exact-code: git cannot be run ({error.strerror})") from None
