"""Sizes of models and token ids for tests of what models do; imported by the conftest.py of several folders."""

import pytest
import torch

from attncompare.model import ModelSize


@pytest.fixture
def size():
    return ModelSize(vocab_size=13, max_length=24, d_model=32, layers=2, d_ff=48, dropout=0.0, positions="sinusoidal")


@pytest.fixture
def tokens():
    """Draw token ids (rows, length), none of them padding."""

    def draw(rows, length, seed=1):
        return torch.randint(1, 13, (rows, length), generator=torch.Generator().manual_seed(seed))

    return draw
