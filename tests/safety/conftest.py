import shutil

import pytest


@pytest.fixture(autouse=True)
def canary(tmp_path):
    """A file that every payload here would create if it ever ran."""
    path = tmp_path / "canary"
    yield path
    assert not path.exists(), "the payload ran"


@pytest.fixture
def downloaded(finished_run, tmp_path):
    """The folder of a finished run, as if it had come from a stranger: to be changed at will."""
    return shutil.copytree(finished_run.path, tmp_path / "downloaded")
