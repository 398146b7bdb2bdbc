"""Training by the code of another commit, in a process of its own."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from attncompare.errors import Refused, RunFailed
from attncompare.reproduce.wish import Shown
from attncompare.training.progress import Progress

_CHILD = Path(__file__).with_name("child.py")
_GRACE = 60  # seconds for the child to close its record after a Ctrl-C


@dataclass(frozen=True)
class Job:
    """What the child trains.

    Attributes:
        values: the config as plain nested dicts: its schema may be an older one.
        overrides: for the new run's record.
        threads: None: as the config or the machine has it.
        stop_after: the step; None: the last.
        data_fingerprint: with other data nothing is trained; None: with any.
        parent: the folder of the new run's folder; None: as ever.
        course: the steps that a time budget gave, as plain values; None: there was none.
    """

    values: dict[str, Any]
    overrides: list[str]
    threads: int | None
    stop_after: int | None
    data_fingerprint: str | None
    parent: str | None
    course: dict[str, int] | None = None


def train_at(code: Path, job: Job, shown: Shown) -> tuple[Path | None, str]:
    """Train ``job`` by the code in the folder ``code``; return the run's folder and the fingerprint of its data.

    The folder is None where the data is not what the job says.

    Raises:
        Refused: as ``train`` does.
        RunFailed: as ``train`` does, and if that code breaks in another way.
        KeyboardInterrupt: after the child closed its record.
    """
    # -P: neither the current folder nor the script's own comes before the code that is asked for.
    command = [sys.executable, "-P", str(_CHILD)]
    path = os.pathsep.join(filter(None, [str(code), os.environ.get("PYTHONPATH")]))
    with tempfile.TemporaryFile("w+") as errors:
        child = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env={**os.environ, "PYTHONPATH": path},
            start_new_session=True,  # a Ctrl-C comes to it from here, once
        )
        try:
            return _hear(child, code, job, shown, errors)
        finally:
            _end(child)


def _hear(child: subprocess.Popen[str], code: Path, job: Job, shown: Shown, errors: IO[str]) -> tuple[Path | None, str]:
    assert child.stdin and child.stdout
    try:
        with child.stdin:
            json.dump(asdict(job), child.stdin)
    except BrokenPipeError:
        pass  # it broke before it read; what it said of that comes below
    told: dict[str, Any] = {}
    for line in child.stdout:
        message = json.loads(line)
        told.update(message)
        if "code" in message and Path(message["code"]).resolve() != code.resolve():
            raise RunFailed(
                f"--exact-code: the code that was imported is that in {message['code']}, not the recorded one"
            )
        if "progress" in message:
            shown.on_progress(Progress(*message["progress"]))
        if "folder" in message:
            shown.on_folder(Path(message["folder"]))
    child.wait()
    if told.get("interrupted"):
        raise KeyboardInterrupt
    if "error" in told:
        raise (Refused if told["exit_code"] == Refused.exit_code else RunFailed)(
            f"with the recorded code: {told['error']}"
        )
    if "data_fingerprint" not in told or ("run" not in told and told["data_fingerprint"] == job.data_fingerprint):
        raise RunFailed(f"the recorded code broke (exit code {child.returncode}): {_last_line(errors)}")
    return Path(told["run"]) if "run" in told else None, told["data_fingerprint"]


def _end(child: subprocess.Popen[str]) -> None:
    """Let the child close its record if it still trains, and wait for it."""
    if child.poll() is None:
        child.send_signal(signal.SIGINT)
        try:
            child.wait(_GRACE)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
    if child.stdout:
        child.stdout.close()


def _last_line(errors: IO[str]) -> str:
    errors.seek(0)
    lines = errors.read().strip().splitlines()
    return lines[-1] if lines else "it said nothing"
