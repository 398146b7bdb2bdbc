"""How to compare: ``--tune``, ``--equal``, ``--metric``."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from attncompare.errors import Refused

if TYPE_CHECKING:
    from attncompare.tasks.metrics import Metric

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

    def free(self, metrics: "Mapping[str, type[Metric]]") -> tuple[str, ...]:
        """Return the keys, or beginnings of keys that end in a dot, in which runs may differ beyond variant and seed.

        Args:
            metrics: those of the task.
        """
        steps = ("trainer.max_steps",) if self.equal in ("flops", "time") else ()
        any_tokens = self.metric is not None and not metrics[self.metric].per_token
        return (*self.picked(), *steps, *((TOKENIZER,) if any_tokens else ()))


def is_free(key: str, free: Iterable[str]) -> bool:
    """Return whether ``key`` is one of ``free``, or begins with one that ends in a dot."""
    return any(key == one or (one.endswith(".") and key.startswith(one)) for one in free)
