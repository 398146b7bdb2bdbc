"""Only the first steps: which rows can be compared, and when training may stop."""

from attncompare.errors import Refused
from attncompare.text import counted
from attncompare.reproduce.facts import Facts


def first_steps(recorded: Facts, steps: int | None) -> tuple[int | None, int | None]:
    """Return the last step to compare and the step after which to stop training; None: the last.

    Raises:
        Refused: if there is no row of metrics so early.
    """
    if steps is None:
        return None, None
    rows = recorded.rows
    if not rows:
        raise Refused(f"{recorded.source}: --steps {steps}: the record has no row of metrics")
    require_rows(steps, int(rows[0]["step"]), recorded.source)
    last = int(max(row["step"] for row in rows))
    if recorded.state == "finished" and steps >= last:
        return None, None
    last = min(steps, last)
    # Training stops before the validation that is due after that step, so one more step is needed to have it.
    validated = any(row["step"] == last and any(key.startswith("val/") for key in row) for row in rows)
    return last, last + validated


def beyond(recorded: Facts, steps: int | None) -> str | None:
    """Return in words that more ``steps`` were asked for than the record has, if so."""
    last = int(max((row["step"] for row in recorded.rows), default=0))
    if steps is None or steps <= last:
        return None
    what = "the run has" if recorded.state == "finished" else "the record has"
    return f"--steps {steps}: {what} only {counted(last, 'step')}, and all of them are compared"


def require_rows(steps: int | None, first: int, source: str) -> None:
    """Refuse ``steps`` below the step of the ``first`` row of metrics."""
    if steps is not None and steps < first:
        raise Refused(f"{source}: --steps {steps}: the first row of metrics is that of step {first}; give that or more")
