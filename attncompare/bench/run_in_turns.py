"""A run of ``attncompare train`` that takes turns with others: a few steps, then it waits."""

import threading
from dataclasses import dataclass

from attncompare.bench.own_state import OwnState
from attncompare.config import RunConfig
from attncompare.errors import RunFailed
from attncompare.tracking.progress import Progress
from attncompare.tracking.record import Run
from attncompare.train import train


class _LeftHere(RunFailed):
    """Ends a run whose record nobody wants."""


@dataclass
class _Outcome:
    run: Run | None = None
    error: BaseException | None = None


class RunInTurns:
    """Trains by :func:`attncompare.train.train`, trainer, record and W&B included, in a thread that waits between turns.

    A turn is what lies between two rows of its metrics, so ``trainer.log_every`` steps and the writing of one row. The
    run has its own random generators, as it would have in a process of its own.

    Args:
        config: what is trained; ``trainer.max_steps`` is a multiple of ``trainer.log_every``.
        threads: CPU threads.
    """

    def __init__(self, config: RunConfig, threads: int) -> None:
        self._config, self._threads, self._outcome = config, threads, _Outcome()
        self._mine, self._theirs = threading.Semaphore(0), threading.Semaphore(0)
        self._state, self._left = OwnState(), False
        self._thread = threading.Thread(target=self._train, name="benchmarked-run", daemon=True)
        self._thread.start()

    def turn(self) -> None:
        """Do the steps up to the next row."""
        with self._state.entered():
            self._mine.release()
            self._theirs.acquire()
        if self._outcome.error is not None:
            raise RunFailed(f"the run of the benchmark failed: {self._outcome.error}") from self._outcome.error

    def finish(self) -> Run:
        """Let it validate, test and close its record after its last step, and return that."""
        while self._thread.is_alive():
            self.turn()
        self._thread.join()
        assert self._outcome.run is not None
        return self._outcome.run

    def leave(self) -> None:
        """End it where it stands."""
        self._left = True
        self._mine.release()
        self._thread.join()

    def _train(self) -> None:
        self._mine.acquire()
        if self._left:
            return
        try:
            self._outcome.run = train(self._config, threads=self._threads, on_progress=self._wait)
        except BaseException as error:
            self._outcome.error = error
        finally:
            self._theirs.release()

    def _wait(self, progress: Progress) -> None:
        if progress.phase == "training":
            self._theirs.release()
            self._mine.acquire()
            if self._left:
                raise _LeftHere
