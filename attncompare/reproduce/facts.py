"""What is known of a run, wherever it was recorded."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from attncompare.config import RunConfig, parse
from attncompare.errors import Refused
from attncompare.training.ending import Course
from attncompare.record import safe_yaml
from attncompare.record import Run, recorded_threads

# What a summary holds of the end of a run, in the order in which it is compared.
FINAL = ("val", "test", "steps", "best_step", "weights_sha256", "training_state_sha256")


@dataclass(frozen=True)
class Facts:
    """A run as its record tells it. Not every source holds everything; what it does not hold is left out here too.

    Attributes:
        source: where it was found, for people: a folder, or a W&B path.
        state: running, finished, failed or interrupted.
        values: its config as plain nested dicts, as recorded.
        environment: what ``environment.json`` holds, or some of it.
        rows: ``train/*`` and ``val/*`` by logged step, in order.
        final: those of :data:`FINAL` that are known.
        predictions: what the model answered on the test split; None: not known.
        course: the steps that a time budget gave; None: it had none, or they are not known.
    """

    source: str
    state: str
    values: dict[str, Any]
    environment: dict[str, Any]
    rows: list[dict[str, float]]
    final: dict[str, Any]
    predictions: list[dict[str, Any]] | None
    course: Course | None = None

    @cached_property
    def config(self) -> RunConfig:
        """Return the config, checked by the code that runs now."""
        try:
            return parse(self.values)
        except Refused as error:
            raise Refused(f"{self.source}: its config is not one of this version: {error}") from None

    @property
    def threads(self) -> int | None:
        """Return the thread count of the run (:func:`attncompare.record.record.recorded_threads`)."""
        return recorded_threads(self.environment, self.source)

    @property
    def commit(self) -> str | None:
        """Return the commit of the code that made the run."""
        git = self.environment.get("git")
        return git.get("commit") if isinstance(git, dict) else None

    @property
    def data_fingerprint(self) -> str | None:
        """Return the SHA-256 of the data."""
        return self.environment.get("data_fingerprint")


def facts_of(run: Run) -> Facts:
    """Return what the folder of ``run`` holds, finished or not."""
    finished = run.state == "finished"
    values = _mapping(safe_yaml(run.read("config.yaml"), run.path / "config.yaml"), run)
    return Facts(
        source=str(run.path),
        state=run.state,
        values=values,
        environment=run.environment(),
        rows=_rows(run),
        final={key: run.summary[key] for key in FINAL if finished and key in run.summary},
        predictions=run.predictions() if finished else None,
        course=_course(run, values),
    )


def course_of(summary: dict[str, Any]) -> Course | None:
    """Return the steps of a run with a time budget from what its finished summary holds."""
    after, planned, last = (summary.get(key) for key in ("planned_after", "planned_steps", "steps"))
    if type(after) is not int or type(planned) is not int or type(last) is not int:
        return None
    return Course(after, planned, last) if 0 < after <= planned and 0 < last <= planned else None


def _course(run: Run, values: dict[str, Any]) -> Course | None:
    trainer = values.get("trainer")
    if not isinstance(trainer, dict) or trainer.get("max_time") is None:
        return None
    if run.state == "finished":
        return course_of(run.summary)
    # What an unfinished run has not planned so far lies beyond its rows.
    most = trainer.get("max_steps")
    after, steps = (run.summary.get(key, most) for key in ("planned_after", "planned_steps"))
    return course_of({"planned_after": after, "planned_steps": steps, "steps": steps})


def _mapping(values: Any, run: Run) -> dict[str, Any]:
    if not isinstance(values, dict):
        raise Refused(f"{run.path / 'config.yaml'}: no config (it holds no keys)")
    return values


def _rows(run: Run) -> list[dict[str, float]]:
    rows = run.metrics()
    if not all(type(row.get("step")) is int for row in rows):
        raise Refused(f"{run.path / 'metrics.csv'}: damaged (a row without its step)")
    return rows
