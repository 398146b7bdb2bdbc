import sys

import pytest
import torch

from attncompare.attention.kernels.heap import keep_freed_memory
from attncompare.training.meter import PeakMemory


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is reset by Linux alone")
def test_what_is_kept_of_one_training_hides_nothing_of_the_next():
    keep_freed_memory()
    for _ in range(2):
        memory = PeakMemory(torch.device("cpu"))
        torch.ones(2**25)
        assert memory.bytes() >= 2**26
