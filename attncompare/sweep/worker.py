"""What happens in the process of one run of a sweep."""

import contextlib
import os
import signal
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attncompare.cli.collection import importing
from attncompare.errors import AttnCompareError
from attncompare.training.processes_output import redirect
from attncompare.sweep.job import Job
from attncompare.training.interrupts import Stop, stoppable

if TYPE_CHECKING:
    from attncompare.record import Run

STOPS = {signal.SIGINT, signal.SIGTERM}


@dataclass(frozen=True)
class Place:
    """Where a run of a sweep is trained.

    Attributes:
        folder: the sweep's.
        group: what W&B calls the sweep.
        threads: CPU threads where neither the config nor a begun record says how many; None: as torch sees fit.
        devices: the GPUs that the process may see, as ``CUDA_VISIBLE_DEVICES`` names them; None: as it is.
    """

    folder: Path
    group: str
    threads: int | None
    devices: str | None = None


def train_member(job: Job, place: Place, **shown: Any) -> "Run":
    """Train one run of a sweep in this process, from where it stands.

    Args:
        job: the run.
        place: where it belongs.
        shown: ``on_progress`` and ``on_folder`` of :func:`attncompare.training.run.train`.
    """
    with importing():
        from attncompare.training.run import resume, train

    if job.begun is not None:
        return resume(job.begun, threads=place.threads, **shown)
    return train(job.config, job.overrides, parent=place.folder, group=place.group, threads=place.threads, **shown)


def work(*, job: Job, place: Place, output: Path, connection: Connection) -> None:
    """Train one run in this process and tell the parent how it goes: its folder, its progress, its final state."""
    with stoppable() as stop:
        state = "failed"
        try:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
            redirect(output)
            if place.devices is not None:
                os.environ["CUDA_VISIBLE_DEVICES"] = place.devices  # before anything asks for a GPU
            tell = _teller(connection, stop)
            train_member(job, place, on_progress=tell, on_folder=tell)
            state = "finished"
        except KeyboardInterrupt:
            state = "interrupted"
        except AttnCompareError as error:
            print(f"error: {error}", file=sys.stderr)
        except Exception:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            with contextlib.suppress(OSError):  # nobody is left to be told
                connection.send(state)
            connection.close()


def _teller(connection: Connection, stop: Stop) -> Callable[[Any], None]:
    """Return what tells the sweep's process how it goes; where that is gone, the run stops as after Ctrl-C."""

    def tell(message: Any) -> None:
        try:
            connection.send(message)
        except OSError:
            stop.ask("the end of its sweep's process")

    return tell
