import pytest


@pytest.fixture
def canary(tmp_path):
    """A file that every payload here would create if it ever ran."""
    path = tmp_path / "canary"
    yield path
    assert not path.exists(), "the payload ran"


@pytest.fixture
def refused(cli, canary):
    """Run a command, hold it to a refusal in one line, and return that line."""

    def run(*arguments):
        code, out, err = cli(*arguments)
        assert (code, out) == (2, ""), err
        assert err.startswith("error: ") and err.count("\n") == 1 and "Traceback" not in err, err
        assert err.strip().isprintable(), "a message gives no commands to a terminal"
        assert not canary.exists()
        return err

    return run
