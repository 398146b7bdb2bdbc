"""What is global in torch and yet belongs to one training: each contender finds it as it left it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch


class OwnState:
    """The generators, and whether algorithms must be deterministic, of one of several trainings in one process."""

    def __init__(self) -> None:
        self._kept = _now()

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Put the own state in the place of the others', and theirs back afterwards."""
        others = _now()
        _set(self._kept)
        try:
            yield
        finally:
            self._kept = _now()
            _set(others)

    def around(self, work: Callable[[], object]) -> Callable[[], None]:
        """Return ``work`` as it is done inside of the own state."""

        def inside() -> None:
            with self.entered():
                work()

        return inside


_State = tuple[torch.Tensor, list[torch.Tensor], bool, bool, bool]


def _now() -> _State:
    return (
        torch.get_rng_state(),
        torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        torch.utils.deterministic.fill_uninitialized_memory,  # type: ignore[attr-defined]
    )


def _set(state: _State) -> None:
    cpu, cuda, deterministic, warn_only, fill = state
    torch.set_rng_state(cpu)
    if cuda:
        torch.cuda.set_rng_state_all(cuda)
    torch.use_deterministic_algorithms(deterministic, warn_only=warn_only)
    torch.utils.deterministic.fill_uninitialized_memory = fill  # type: ignore[attr-defined]
