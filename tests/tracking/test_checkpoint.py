"""Resume checkpoints: plain values and tensors come back as they were, damage is noticed, and nothing is executed."""

import math
import random

import numpy as np
import pytest
import torch

from attncompare.training import checkpoint
from attncompare.training.checkpoint import load_checkpoint, remove_checkpoints, save_checkpoint, state_digest
from attncompare.training.random_states import (
    process_random_states,
    random_states,
    restore_process_random_states,
    restore_random_states,
    seed_all,
)

STATE = {
    "numbers": [1, -(2**62), 0.1, 1e-320, math.inf, True, None, "text \u2028 \"' \\"],
    "by number": {0: (1, (2.5, [])), 1: {}},
    "tensors": {
        "float": torch.tensor([[0.1, -0.0], [math.inf, math.nan]]),
        "half": torch.tensor([1.5], dtype=torch.bfloat16),
        "nothing": torch.zeros(0, 3),
        "scalar": torch.tensor(7),
        "bool": torch.tensor([True, False]),
        "bytes": torch.arange(5, dtype=torch.uint8),
        "view": torch.arange(6.0).view(2, 3).t(),
    },
}


def flat(value):
    """Make values comparable bit by bit."""
    if isinstance(value, torch.Tensor):
        return str(value.dtype), tuple(value.shape), value.contiguous().reshape(-1).view(torch.uint8).tolist()
    if isinstance(value, dict):
        return {key: flat(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value).__name__, [flat(item) for item in value]
    return repr(value)


def test_a_state_comes_back_bit_for_bit(tmp_path):
    save_checkpoint(tmp_path, 12, STATE)
    step, state = load_checkpoint(tmp_path)
    assert step == 12
    assert flat(state) == flat(STATE)
    assert state_digest(state) == state_digest(STATE)


def test_tensors_that_share_memory_come_back_apart(tmp_path):
    shared = torch.zeros(3)
    save_checkpoint(tmp_path, 1, {"a": shared, "b": shared})
    _, state = load_checkpoint(tmp_path)
    state["a"].add_(1)
    assert state["b"].tolist() == [0, 0, 0]


@pytest.mark.parametrize("change", ["a value", "a key", "a bit", "a type", "an order", "a shape"])
def test_the_digest_sees_every_change(change):
    state = {"x": 1, "t": torch.zeros(2, 3), "l": [1, 2]}
    other = {
        "a value": {**state, "x": 2},
        "a key": {"y": 1, "t": state["t"], "l": state["l"]},
        "a bit": {**state, "t": torch.tensor([[0, 0, 0], [0, 0, -0.0]])},
        "a type": {**state, "l": (1, 2)},
        "an order": {**state, "l": [2, 1]},
        "a shape": {**state, "t": torch.zeros(3, 2)},
    }[change]
    assert state_digest(other) != state_digest(state)


def test_only_plain_values_are_kept(tmp_path):
    with pytest.raises(TypeError, match="holds plain values and tensors, no object"):
        save_checkpoint(tmp_path, 1, {"x": object()})
    assert load_checkpoint(tmp_path) is None


def test_the_newest_two_are_kept_and_all_removed_at_the_end(tmp_path):
    for step in (5, 20, 100, 9_999_999, 12_345_678):
        save_checkpoint(tmp_path, step, {"step": step})
    assert load_checkpoint(tmp_path) == (12_345_678, {"step": 12_345_678})
    assert len(list((tmp_path / "checkpoints").iterdir())) == 2
    remove_checkpoints(tmp_path)
    assert load_checkpoint(tmp_path) is None


def test_a_run_that_began_anew_keeps_its_own_and_not_those_of_the_future_it_gave_up(tmp_path):
    for step in (4, 7):
        save_checkpoint(tmp_path, step, {"step": step})
    save_checkpoint(tmp_path, 2, {"step": 2})
    assert load_checkpoint(tmp_path) == (2, {"step": 2})
    assert len(list((tmp_path / "checkpoints").iterdir())) == 1


def test_any_changed_byte_is_noticed_or_changes_nothing(tmp_path, caplog):
    save_checkpoint(tmp_path, 1, {"before": True})
    save_checkpoint(tmp_path, 2, STATE)
    newest = tmp_path / "checkpoints" / "resume-0000002.safetensors"
    content, places = newest.read_bytes(), random.Random(0)
    for _ in range(300):
        place = places.randrange(len(content))
        newest.write_bytes(content[:place] + bytes([content[place] ^ places.randrange(1, 256)]) + content[place + 1 :])
        step, state = load_checkpoint(tmp_path)
        assert (step == 1 and state == {"before": True}) or flat(state) == flat(STATE)
    for length in range(0, len(content), 97):
        newest.write_bytes(content[:length])
        assert load_checkpoint(tmp_path)[0] == 1
    assert "is damaged" in caplog.text


def test_checkpoints_from_another_format_are_not_taken(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "_FORMAT", "0")
    save_checkpoint(tmp_path, 1, {})
    monkeypatch.undo()
    assert load_checkpoint(tmp_path) is None


def draws():
    return torch.rand(3).tolist(), random.random(), np.random.rand()


def test_random_states_go_through_a_checkpoint(tmp_path):
    seed_all(2**62 + 5)
    np.random.randn()  # leaves one number of a pair for later
    save_checkpoint(tmp_path, 1, {"torch": random_states(torch.device("cpu")), "process": process_random_states()})
    expected = [draws(), np.random.randn()]
    _, state = load_checkpoint(tmp_path)
    restore_random_states(state["torch"], torch.device("cpu"))
    restore_process_random_states(state["process"])
    assert [draws(), np.random.randn()] == expected
    seed_all(2**62 + 5)
    np.random.randn()
    assert [draws(), np.random.randn()] == expected
