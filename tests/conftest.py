import contextlib
import logging
import os
import signal
import sys
from pathlib import Path

# Tests run side by side, so each process has one thread; read when torch is imported, here and in child processes.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Where a run has two threads all the same, they shall not spin while they wait for each other on a busy machine.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# Without a GPU, Triton's kernels are interpreted on the CPU; read when triton is imported, whoever does that first.
if not Path("/dev/nvidiactl").exists():
    os.environ.setdefault("TRITON_INTERPRET", "1")

# A shell has its background jobs ignore Ctrl-C, and so would the processes that tests start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

import pytest

pytest.register_assert_rewrite("outcomes")

from commands import SMOKE, composed_config
from hypothesis import HealthCheck, settings

settings.register_profile("untimed", deadline=None)  # a busy machine fails no test
settings.load_profile("untimed")
# For laws that train models and read folders (cases.py): neither speed nor size of what is drawn says anything.
_LAWS = settings(
    deadline=None, database=None, print_blob=True, suppress_health_check=list(HealthCheck), report_multiple_bugs=False
)
settings.register_profile("quick", _LAWS, derandomize=True)  # the same cases each time
settings.register_profile("long", _LAWS)


def pytest_runtest_setup(item):
    if item.get_closest_marker("cuda"):
        import torch

        if not torch.cuda.is_available():
            pytest.skip("needs a CUDA device")


@pytest.fixture(autouse=True)
def loggers_enabled():
    """Hydra, when a command runs in this process, switches off all loggers that exist and all warnings."""
    logging.getLogger("attncompare").disabled = False
    logging.getLogger().setLevel(logging.WARNING)


@pytest.fixture(autouse=True)
def one_thread():
    """Small tensors are computed fastest by one thread; training in this process may have set another number."""
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


@pytest.fixture(scope="module", autouse=True)
def wandb_service_ended():
    """W&B keeps one process for all that a Python process does: what a file of tests began ends with it."""
    yield
    if "wandb" in sys.modules:
        with contextlib.suppress(Exception):  # it may be gone, or killed by a test
            sys.modules["wandb"].teardown()


@pytest.fixture
def make_config(tmp_path):
    """Compose conf/ with overrides into a RunConfig whose runs go to a temporary folder."""
    return lambda *overrides: composed_config(tmp_path / "runs", overrides)


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory):
    """The record of a finished smoke run, for tests that only read it."""
    from attncompare.training.run import train

    home = tmp_path_factory.mktemp("finished")
    overrides = [*SMOKE, "attention=multihead", "attention.heads=2", "tags=[tests]"]
    return train(composed_config(home / "runs", overrides), overrides)


@pytest.fixture
def cli(capsys, monkeypatch, tmp_path):
    """Run the console script in this process, in an empty folder; gives exit code, standard output and error."""
    from attncompare.cli import main

    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setitem(os.environ, "COLUMNS", "300")

    def run(*arguments):
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def refused(cli):
    """Run a command, hold it to a refusal in one printable line with exit code 2, and return that line."""

    def run(*arguments):
        code, out, err = cli(*arguments)
        lines = [line for line in err.splitlines() if line.startswith("error: ")]
        assert (code, out) == (2, "") and len(lines) == 1 and err.endswith(f"{lines[0]}\n"), err
        assert "Traceback" not in err
        assert lines[0].isprintable(), "a message gives no commands to a terminal"
        return lines[0]

    return run


@pytest.fixture
def size():
    """The sizes of a small transformer."""
    from variants import ModelSize

    return ModelSize()


@pytest.fixture
def tokens():
    """Draw token ids (rows, length), none of them padding."""
    import torch

    def draw(rows, length, seed=1):
        return torch.randint(1, 13, (rows, length), generator=torch.Generator().manual_seed(seed))

    return draw
