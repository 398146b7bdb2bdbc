"""When training ends: after its steps or epochs, when its time is over, where it gets no better, or when somebody stops it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import Callback, EarlyStopping

from attncompare.config.schema import TrainerConfig
from attncompare.errors import Refused
from attncompare.tasks.base import Plan, Task

_SETTLED = 10  # the first steps are slower: memory is taken, kernels are chosen
_LEAST_STEPS, _LEAST_SHARE = 50, 0.05  # of steps and of the time, before the pace is known well enough to plan


class TrainingStopped(Exception):  # noqa: N818  (nothing went wrong)
    """Training was stopped after an optimizer step, whose checkpoint is written."""


@dataclass(frozen=True)
class Course:
    """How a run with a time budget went, for one that shall repeat it without a clock.

    Attributes:
        planned_after: the step after which its steps were counted out.
        planned_steps: how many it would have in all.
        last: the step that it ended with.
    """

    planned_after: int
    planned_steps: int
    last: int


def most_steps(config: TrainerConfig, epoch_steps: int) -> int:
    """Return the step after which training ends at the latest: that of ``max_steps`` or of ``max_epochs``.

    Args:
        config: with one of the two at least.
        epoch_steps: the optimizer steps of an epoch.
    """
    limits = (config.max_steps, config.max_epochs and config.max_epochs * epoch_steps)
    return min(limit for limit in limits if limit is not None)


class Budget(Callback):
    """Ends training after its last step, which is validated.

    A time budget (``trainer.max_time``) is turned into a number of steps once, when the pace is known; the schedule goes
    by that. Lightning's ``Timer`` would count validations, and end at a step that nobody knows before. So the clock
    decides nothing but two numbers, and with these in its record a run can be repeated.

    Args:
        task: what is trained; it holds the last step and the plan.
        longest: the step after which it ends at the latest (:func:`most_steps`).
        facts: the summary of the run so far: the course that it repeats, or a plan from before it was interrupted.
        on_plan: told the plan for the summary, once it is made.
        path: the run's folder, for messages.

    Raises:
        Refused: if the facts hold something else there.
    """

    def __init__(
        self, task: Task, longest: int, facts: dict[str, Any], on_plan: Callable[[dict[str, int]], None], path: Path
    ) -> None:
        self._task, self._longest, self._on_plan = task, longest, on_plan
        task.last_step = longest
        self._config, self._warmup = task.config.trainer, task.config.optimizer.warmup_steps
        self._settled = (0, 0.0)
        course = facts.get("course")
        self._by_clock = self._config.max_time is not None and course is None
        if course is not None or "planned_steps" in facts:
            task.plan, task.last_step = _known(course if course is not None else facts, longest, path)

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:  # noqa: ARG002
        """Look at the clock, and end training where this was the last step."""
        step = trainer.global_step
        if self._by_clock:
            self._look_at_clock(step)
        trainer.should_stop |= step >= self._task.last_step

    def is_due(self, step: int) -> bool:
        """Return whether the model is validated after ``step``: every so often, and after the last."""
        return step > 0 and (step % self._config.validate_every == 0 or step >= self._task.last_step)

    def share(self, step: int) -> float:
        """Return which part of the training is done after ``step``, from 0 to 1, by whichever limit is nearer."""
        by_clock = self._task.seconds / self._config.max_time if self._by_clock and self._config.max_time else 0.0
        return min(1.0, max(step / self._task.last_step, by_clock))

    def ended_by(self, step: int, patience: EarlyStopping | None) -> str:
        """Return the key of ``trainer`` that ended training after ``step``."""
        if step >= self._longest:
            return "max_steps" if self._longest == self._config.max_steps else "max_epochs"
        return "patience" if patience is not None and patience.wait_count >= patience.patience else "max_time"

    def plan_facts(self, steps: int) -> dict[str, int]:
        """Return the plan for the summary; a run that ended before it had one needed no more than its ``steps``."""
        if self._config.max_time is None:
            return {}
        plan = self._task.plan or Plan(steps, steps)
        return {"planned_after": plan.after, "planned_steps": plan.steps}

    def state_dict(self) -> dict[str, Any]:
        """Return where the pace is measured from."""
        return {"settled": list(self._settled)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go back to :meth:`state_dict`."""
        self._settled = (state_dict["settled"][0], state_dict["settled"][1])

    def _look_at_clock(self, step: int) -> None:
        task, seconds, limit = self._task, self._task.seconds, self._config.max_time
        assert limit is not None
        if step == _SETTLED:
            self._settled = (step, seconds)
        over = seconds >= limit
        ready = step >= max(_LEAST_STEPS, self._warmup) and seconds >= _LEAST_SHARE * limit
        if task.plan is None and (over or ready):
            steps, taken = step - self._settled[0], seconds - self._settled[1]
            more = 0 if over else int((limit - seconds) * steps / taken) if taken > 0 else self._longest
            task.plan = Plan(step, min(self._longest, step + more))
            task.last_step = task.plan.steps
            self._on_plan(self.plan_facts(step))
        if over:  # the last step is known before it is done, so that its row can be logged
            task.last_step = min(task.last_step, step + 1)


def _known(facts: Any, longest: int, path: Path) -> tuple[Plan, int]:
    """Return the plan and the last step from a summary, or refuse what cannot be."""
    values = [facts.get(key) if isinstance(facts, dict) else None for key in ("planned_after", "planned_steps", "last")]
    after, steps, last = (value if type(value) is int else None for value in values)
    last = last or steps
    if after is None or steps is None or last is None or not (0 < after <= steps <= longest and 0 < last <= longest):
        raise Refused(f"{path / 'summary.json'}: damaged (its plan of steps cannot be)")
    return Plan(after, steps), last
