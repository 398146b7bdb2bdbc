import torch
from pytorch_lightning import Callback

from attncompare.training.processes_fitting import make_trainer


def test_deterministic_algorithms_do_not_write_over_all_memory_first(make_config):
    make_trainer(make_config("trainer=cpu"), Callback())
    assert torch.are_deterministic_algorithms_enabled()
    counted = torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU])
    with counted:
        torch.empty(1000)
    assert "aten::fill_" not in {event.key for event in counted.key_averages()}
