"""A clock that moves with each optimizer step and with nothing else."""

from types import SimpleNamespace

from attncompare.tasks import Task, base


class FakeClock:
    """Stands where training reads the time.

    Attributes:
        now: seconds.
        pace: seconds of a step.
    """

    def __init__(self, monkeypatch, pace=1.0):
        self.now, self.pace = 0.0, pace
        monkeypatch.setattr(base, "time", SimpleNamespace(perf_counter=lambda: self.now))
        optimizer_step = Task.optimizer_step

        def stepped(task, *arguments, **options):
            self.now += self.pace
            return optimizer_step(task, *arguments, **options)

        monkeypatch.setattr(Task, "optimizer_step", stepped)
