import pytest


@pytest.fixture
def refused(cli):
    """Run a command, hold it to a refusal in one line with exit code 2, and return that line."""

    def run(*arguments):
        code, out, err = cli(*arguments)
        lines = [line for line in err.splitlines() if line.startswith("error: ")]
        assert (code, out) == (2, "") and len(lines) == 1 and err.endswith(f"{lines[0]}\n"), err
        assert "Traceback" not in err
        return lines[0]

    return run
