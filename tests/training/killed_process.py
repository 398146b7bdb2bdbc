"""Trains a run in a process that gets a signal, or is killed as by a power cut: no handler runs, nothing is closed."""

import contextlib
import multiprocessing
import os
import random
import signal
import time
from pathlib import Path

from attncompare.record import files
from attncompare.training.progress import Progress

# Syncs until a run is known, two for each file: config, overrides, the header of the metrics, the reserve, the summary.
BEGINNING = 10


def train_until_killed(config, *, after=None, at_write=None, at=None, number=signal.SIGKILL, resume=None, threads=1):
    """Train ``config`` in a process of its own, which gets a signal at some moment.

    Args:
        config: the run.
        after: seconds after its folder was made.
        at_write: instead: in the middle of the n-th write of a file, from 0; killed.
        at: instead: when it tells of this phase and step.
        number: the signal.
        resume: the folder of a run to go on with, instead of a new one.
        threads: CPU threads.

    Returns:
        The run's folder (None: it had none yet), the phase in which it ended, and what it said of its end itself: how many
        seconds and writes it took, or the name of its exception (None where it was killed).
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["attncompare.training.run"])
    mine, theirs = context.Pipe()
    process = context.Process(target=_train, args=(config, at_write, resume, threads, theirs))
    process.start()
    theirs.close()
    folder, phase, began, ended = None, "starting", None, None

    def send():
        with contextlib.suppress(ProcessLookupError):  # it was quicker itself
            os.kill(process.pid, number)

    while True:
        left = None if after is None or began is None else max(0.0, began + after - time.monotonic())
        if not mine.poll(left):
            send()
            after = None
            continue
        try:
            message = mine.recv()
        except EOFError:
            break
        if isinstance(message, Path):
            folder, began = message, time.monotonic()
        elif isinstance(message, Progress):
            phase = message.phase
            if (phase, message.step) == at:
                send()
        else:
            ended = message
    process.join()
    return folder, phase, ended


def _train(config, at_write, resume_path, threads, connection):
    from attncompare.training.run import resume, train

    # A sweep that ran in the tests' process before has left its fork server, whose processes begin with these blocked.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM})
    writes, began = _die_at_write(at_write), [time.monotonic()]

    def on_folder(folder):
        began.append(time.monotonic())
        connection.send(folder)

    shown = {"on_progress": connection.send, "on_folder": on_folder}
    try:
        if resume_path is None:
            train(config, threads=threads, **shown)
        else:
            resume(resume_path, threads=threads, **shown)
    except BaseException as error:
        connection.send(type(error).__name__)
    else:
        connection.send({"seconds": time.monotonic() - began[-1], "writes": writes["count"]})


def _die_at_write(number):
    """Let this process die in the ``number``-th write of a file: half of it is written under its temporary name."""
    writes = {"count": 0}
    whole = files.os.fsync

    def fsync(descriptor):
        if writes["count"] == number:
            file = Path(f"/proc/self/fd/{descriptor}").readlink()
            if random.random() < 0.5 and file.suffix == ".tmp":
                os.truncate(file, file.stat().st_size // 2)
            os.kill(os.getpid(), signal.SIGKILL)
        writes["count"] += 1
        whole(descriptor)

    files.os.fsync = fsync
    return writes
