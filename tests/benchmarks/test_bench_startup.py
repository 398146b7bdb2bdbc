"""Start-up is measured in real processes; here are those that need no torch."""

import json
import sys

import pytest
from commands import attncompare

from attncompare.bench import startup
from attncompare.bench.contender import LeftOut


def test_a_process_must_end_as_it_should():
    startup._process("-c", "pass")()
    startup._process("-c", "raise SystemExit(2)", exit_code=2)()
    with pytest.raises(LeftOut, match="NameError"):
        startup._process("-c", "nothing")()


def test_a_run_that_takes_no_step_is_left_out_with_its_last_words(monkeypatch):
    monkeypatch.setattr(startup, "_SMALL_RUN", ("data=revers",))
    with pytest.raises(LeftOut, match="did you mean reverse"):
        startup._first_step(startup.Options())()


@pytest.mark.parametrize("benchmark", ["attention", "startup"])
def test_help_comes_without_torch(benchmark):
    code = f"import sys; from attncompare.cli import main\ntry: main(['bench', '{benchmark}', '--help'])\nexcept SystemExit: pass"
    heavy = "\nprint(json.dumps([name for name in ('torch', 'pydantic', 'rich', 'jinja2') if name in sys.modules]))"
    done = startup.subprocess.run(
        [sys.executable, "-c", f"import json\n{code}{heavy}"], capture_output=True, text=True, check=True
    )
    assert "--markdown" in done.stdout
    assert json.loads(done.stdout.splitlines()[-1]) == []


def test_without_a_name_the_benchmarks_are_listed(tmp_path):
    done = attncompare("bench", cwd=tmp_path)
    assert done.returncode == 2
    assert "valid: attention, startup" in done.stderr
