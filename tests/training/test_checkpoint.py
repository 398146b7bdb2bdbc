"""Checkpoints: plain values and tensors come back as they were, damage is noticed, and nothing is executed."""

import math
import random

import numpy as np
import pytest
import torch

from attncompare.errors import Refused
from attncompare.training import checkpoint
from attncompare.training.checkpoint import SafeCheckpointIO, checkpoint_file, newest_checkpoint, seed_all

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


def saved(state, file):
    SafeCheckpointIO().save_checkpoint(state, file)
    return SafeCheckpointIO().load_checkpoint(file)


def test_a_state_comes_back_bit_for_bit(tmp_path):
    assert flat(saved(STATE, tmp_path / "a.ckpt")) == flat(STATE)


def test_tensors_that_share_memory_come_back_apart(tmp_path):
    shared = torch.zeros(3)
    state = saved({"a": shared, "b": shared}, tmp_path / "a.ckpt")
    state["a"].add_(1)
    assert state["b"].tolist() == [0, 0, 0]


def test_only_plain_values_are_written(tmp_path):
    with pytest.raises(TypeError, match="object"):
        SafeCheckpointIO().save_checkpoint({"x": object()}, tmp_path / "a.ckpt")
    assert list(tmp_path.iterdir()) == []


def test_the_newest_whole_checkpoint_is_found(tmp_path):
    assert newest_checkpoint(tmp_path) is None
    for step in (5, 20, 9_999_999, 12_345_678):
        SafeCheckpointIO().save_checkpoint({"step": step}, checkpoint_file(tmp_path, step))
    assert newest_checkpoint(tmp_path) == (checkpoint_file(tmp_path, 12_345_678), {"step": 12_345_678})
    checkpoint_file(tmp_path, 12_345_678).write_bytes(b"damaged")
    assert newest_checkpoint(tmp_path)[1] == {"step": 9_999_999}
    checkpoint.remove_checkpoints(tmp_path)
    assert newest_checkpoint(tmp_path) is None


def test_any_changed_byte_is_noticed_or_changes_nothing(tmp_path):
    file = tmp_path / "a.ckpt"
    SafeCheckpointIO().save_checkpoint(STATE, file)
    content, places, noticed = file.read_bytes(), random.Random(0), 0
    for _ in range(300):
        place = places.randrange(len(content))
        file.write_bytes(content[:place] + bytes([content[place] ^ places.randrange(1, 256)]) + content[place + 1 :])
        try:
            assert flat(SafeCheckpointIO().load_checkpoint(file)) == flat(STATE)
        except Refused as error:
            assert str(file) in str(error) and "\n" not in str(error)
            noticed += 1
    assert noticed > 200
    for length in range(0, len(content), 97):
        file.write_bytes(content[:length])
        with pytest.raises(Refused, match="damaged"):
            SafeCheckpointIO().load_checkpoint(file)


def draws():
    return torch.rand(3).tolist(), random.random(), np.random.rand(), np.random.randn()


def test_random_states_go_through_a_checkpoint(tmp_path):
    cpu = torch.device("cpu")
    seed_all(2**62 + 5)
    np.random.randn()  # leaves one number of a pair for later
    states = saved({"random": checkpoint._random_states(cpu)}, tmp_path / "a.ckpt")["random"]
    expected = draws()
    checkpoint._restore_random_states(states, cpu)
    assert draws() == expected
    seed_all(2**62 + 5)
    np.random.randn()
    assert draws() == expected
