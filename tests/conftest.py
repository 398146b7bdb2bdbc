import os

# Tests run side by side, so each process has one thread; read when torch is imported, here and in child processes.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from commands import SMOKE, composed_config


@pytest.fixture
def make_config(tmp_path):
    """Compose conf/ with overrides into a RunConfig whose runs go to a temporary folder."""
    return lambda *overrides: composed_config(tmp_path / "runs", overrides)


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory):
    """The record of a finished smoke run, for tests that only read it."""
    from attncompare.train import train

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
