"""When training ends: after its steps, when its time is over, or where it gets no better."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from attncompare.config import RunConfig
from attncompare.errors import Refused
from attncompare.tasks.schedule import Plan

_SETTLED = 10  # the first steps are slower: memory is taken, kernels are chosen
_LEAST_STEPS, _LEAST_SHARE = 50, 0.05  # of steps and of the time, before the pace is known well enough to plan


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


class Ending:
    """Says which steps are validated, which is the last one, and why.

    A time budget (``trainer.max_time``) is turned into a number of steps once, when the pace is known; the schedule goes
    by that. So the clock decides nothing but two numbers, and with these in its record a run can be repeated.

    Args:
        config: the run.
        summary: its summary so far: the course that it repeats, or a plan that was made before it was interrupted.
        path: its folder, for messages.

    Attributes:
        plan: how many steps there will be by the clock; None: not known yet, or there is no clock.
        last: the last step, as far as is known.

    Raises:
        Refused: if the summary holds something else there.
    """

    def __init__(self, config: RunConfig, summary: dict[str, Any], path: Path) -> None:
        self._config, self._path = config.trainer, path
        self._warmup = config.optimizer.warmup_steps
        self.plan: Plan | None = None
        self.last = self._config.max_steps
        self._settled = (0, 0.0)
        course = summary.get("course")
        self._by_clock = self._config.max_time is not None and course is None
        if course is not None or "planned_steps" in summary:
            self._take(course if course is not None else summary)

    def step_done(self, step: int, seconds: float) -> bool:
        """Look at the clock after ``step``, ``seconds`` of training into the run; return whether a plan was just made."""
        if not self._by_clock:
            return False
        assert self._config.max_time is not None
        if step == _SETTLED:
            self._settled = (step, seconds)
        over = seconds >= self._config.max_time
        ready = step >= max(_LEAST_STEPS, self._warmup) and seconds >= _LEAST_SHARE * self._config.max_time
        planned = self.plan is None and (over or ready)
        if planned:
            more = 0 if over else self._steps_left(step, seconds)
            self.plan = Plan(step, min(self._config.max_steps, step + more))
            self.last = self.plan.steps
        if over:
            self.last = min(self.last, step)
        return planned

    def is_due(self, step: int) -> bool:
        """Return whether the model is validated after ``step``: every so often, and after the last."""
        return step % self._config.validate_every == 0 or step == self.last

    def may_be_last(self, step: int) -> bool:
        """Return whether training may end after ``step``, as far as is known before its validation."""
        return step == self.last or self._config.patience is not None

    def reason(self, step: int, best_step: int) -> str | None:
        """Return the key that ends training after ``step``, which was validated; None: it goes on.

        Args:
            step: optimizer steps done.
            best_step: the one with the lowest validation loss so far.
        """
        patience = self._config.patience
        if step == self._config.max_steps:
            return "max_steps"
        if patience is not None and step - best_step >= patience * self._config.validate_every:
            return "patience"
        return "max_time" if step == self.last else None

    def state(self) -> dict[str, Any]:
        """Return what a resumed run needs of it."""
        return {"plan": asdict(self.plan) if self.plan else None, "last": self.last, "settled": list(self._settled)}

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to :meth:`state`; a plan that was made after it stays."""
        self._settled = (state["settled"][0], state["settled"][1])
        if state["plan"] is not None:
            self.plan, self.last = Plan(**state["plan"]), state["last"]

    def facts(self, ended: int | None = None) -> dict[str, int]:
        """Return the plan for the summary; a run that ``ended`` after some step before it had one needed no more."""
        plan = self.plan
        if plan is None and ended is not None and self._config.max_time is not None:
            plan = Plan(ended, ended)
        return {"planned_after": plan.after, "planned_steps": plan.steps} if plan else {}

    def _steps_left(self, step: int, seconds: float) -> int:
        assert self._config.max_time is not None
        steps, taken = step - self._settled[0], seconds - self._settled[1]
        return int((self._config.max_time - seconds) * steps / taken) if taken > 0 else self._config.max_steps

    def _take(self, known: Any) -> None:
        after, steps, last = (_whole(known, key) for key in ("planned_after", "planned_steps", "last"))
        longest, last = self._config.max_steps, last or steps
        if after is None or steps is None or last is None or not (0 < after <= steps <= longest and 0 < last <= steps):
            raise Refused(f"{self._path / 'summary.json'}: damaged (its plan of steps cannot be)")
        self.plan, self.last = Plan(after, steps), last


def _whole(facts: Any, key: str) -> int | None:
    value = facts.get(key) if isinstance(facts, dict) else None
    return value if type(value) is int else None
