"""What a comparison may be asked for beyond "compare these": ``--tune``, ``--equal``, ``--metric``."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from attncompare.errors import Refused
from attncompare.text import METRICS, TESTED, TOKEN_FREE
from attncompare.registry import unknown

Equal = Literal["parameters", "flops", "time"]
TOKENIZER = "data.tokenizer."
SIZES = ("backbone.d_model", "backbone.layers", "backbone.d_ff")


@dataclass(frozen=True)
class Options:
    """How to compare.

    Attributes:
        tune: keys whose value is picked for each variant on val.
        equal: what all variants may spend alike; None: what they have spent.
        metric: the one metric to compare in; None: those of the task.

    Raises:
        Refused: if two of them contradict each other.
    """

    tune: tuple[str, ...] = ()
    equal: Equal | None = None
    metric: str | None = None

    def __post_init__(self) -> None:
        if self.tune and self.equal in ("flops", "time"):
            raise Refused(
                f"--tune with --equal {self.equal}: values picked on val would be judged on val, too; leave one of them out"
            )

    def picked(self) -> tuple[str, ...]:
        """Return the keys of which each variant gets one value."""
        return (*self.tune, *(SIZES if self.equal == "parameters" else ()))

    def free(self) -> tuple[str, ...]:
        """Return the keys, or beginnings of keys that end in a dot, in which runs may differ beyond variant and seed."""
        steps = ("trainer.max_steps",) if self.equal in ("flops", "time") else ()
        return (*self.picked(), *steps, *((TOKENIZER,) if self.metric in TOKEN_FREE else ()))

    def fits(self, task: str) -> bool:
        """Return whether ``task`` has the metric that is asked for, if one is."""
        return self.metric is None or (self.metric in METRICS and task in METRICS[self.metric].tasks)

    def metrics(self, task: str) -> tuple[str, ...]:
        """Return the metrics that are tested, the most important first.

        Raises:
            Refused: if ``task`` has no such metric.
        """
        if self.metric is None:
            return TESTED[task]
        valid = [key for key, metric in METRICS.items() if task in metric.tasks]
        if self.metric not in valid:
            raise Refused(f"--metric: {unknown(f'metric of task={task}', self.metric, valid)}")
        return (self.metric,)


def is_free(key: str, free: Iterable[str]) -> bool:
    """Return whether ``key`` is one of ``free``, or begins with one that ends in a dot."""
    return any(key == one or (one.endswith(".") and key.startswith(one)) for one in free)
