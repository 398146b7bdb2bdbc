"""All global random generators: their seeds at the start of a run, and their states for its checkpoints."""

import random
from typing import Any

import numpy as np
import torch


def seed_all(seed: int) -> None:
    """Seed every global generator."""
    torch.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed % 2**32)


def random_states(device: torch.device) -> dict[str, Any]:
    """Return the states of torch's generators that a model on ``device`` draws from, as for dropout."""
    return {"cpu": torch.get_rng_state(), "cuda": [torch.cuda.get_rng_state(device)] if device.type == "cuda" else []}


def restore_random_states(states: dict[str, Any], device: torch.device) -> None:
    """Go back to :func:`random_states`."""
    torch.set_rng_state(states["cpu"])
    if device.type == "cuda":
        torch.cuda.set_rng_state(states["cuda"][0], device)


def process_random_states() -> dict[str, Any]:
    """Return the states of Python's and numpy's generators: no room draws from them, an installed score may."""
    state: Any = np.random.get_state(legacy=False)
    bits = {**state["state"], "key": torch.from_numpy(state["state"]["key"].astype(np.int64))}
    return {"python": random.getstate(), "numpy": {**state, "state": bits}}


def restore_process_random_states(states: dict[str, Any]) -> None:
    """Go back to :func:`process_random_states`."""
    random.setstate(states["python"])
    state = states["numpy"]
    np.random.set_state({**state, "state": {**state["state"], "key": state["state"]["key"].numpy().astype(np.uint32)}})
