"""Output that nobody reads: training goes on, a result that is lost is a failure, and there is no traceback."""

import gc
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from commands import SMOKE, command, environment

from attncompare.cli.process import importing
from attncompare.record import Run, find_runs

QUICK = (*SMOKE, "tracking=disabled", "tracking.probes=0")
FULL = pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is full")


LONGER = [
    pytest.param(line, marks=pytest.mark.long)
    for line in ("train --cfg job", "compare run", "translate run run/config.yaml")
]


def shell(line, cwd):
    """Run a line of a shell in which ``attncompare`` is the command; give the exit codes of its pipe, and what it said."""
    called = shlex.join(command())
    script = f'attncompare() {{ {called} "$@"; }}; {line}; echo "codes ${{PIPESTATUS[*]}}"'
    done = subprocess.run(
        ["bash", "-c", script], cwd=cwd, env=environment(cwd), capture_output=True, text=True, check=False, timeout=100
    )
    *out, codes = done.stdout.splitlines()
    for words in ("Traceback", "Exception ignored", "Broken"):
        assert words not in done.stdout + done.stderr
    return [int(code) for code in codes.split()[1:]], out, done.stderr


@pytest.mark.long
@pytest.mark.parametrize("sweep", [(), ("-m", "seed=1,2")], ids=["run", "sweep"])
def test_training_goes_on_when_nobody_reads_its_progress_any_more(tmp_path, sweep):
    train = shlex.join(["train", *sweep, *QUICK])
    codes, _, _ = shell(f"attncompare {train} 2>&1 >path | head -1", tmp_path)
    assert codes == [0, 0]
    assert {run.state for run in find_runs([tmp_path])} == {"finished"}
    assert (tmp_path / (tmp_path / "path").read_text().strip()).is_dir()


@pytest.mark.long
@FULL
def test_training_goes_on_where_its_progress_cannot_be_written_and_its_path_is_a_result(tmp_path):
    train = shlex.join(["train", *QUICK])
    codes, _, _ = shell(f"attncompare {train} 2>/dev/full >path", tmp_path)
    assert codes == [0]
    assert Run.open(tmp_path / (tmp_path / "path").read_text().strip()).state == "finished"
    codes, _, err = shell(f"attncompare {train} >/dev/full", tmp_path)
    assert codes == [1]
    assert err.endswith("\nerror: standard output cannot be written (No space left on device)\n")


@pytest.mark.parametrize("line", ["--help", *LONGER])
def test_a_result_that_nobody_reads_is_a_quiet_failure(finished_run, tmp_path, line):
    shutil.copytree(finished_run.path, tmp_path / "run")
    codes, _, err = shell(f"(sleep 0.2; attncompare {line}) | exec true", tmp_path)
    assert (codes, err) == ([1, 0], "")


@pytest.mark.long
@FULL
@pytest.mark.parametrize("line", ["train --cfg job", "compare run"])
def test_a_result_that_cannot_be_written_is_a_failure_in_one_line(finished_run, tmp_path, line):
    shutil.copytree(finished_run.path, tmp_path / "run")
    codes, _, err = shell(f"attncompare {line} >/dev/full", tmp_path)
    assert (codes, err) == ([1], "error: standard output cannot be written (No space left on device)\n")


@pytest.mark.long
def test_streams_that_were_closed_from_outside_are_no_files_of_the_run(tmp_path):
    codes, out, err = shell(f"attncompare {shlex.join(['train', *QUICK])} <&- >&- 2>&-", tmp_path)
    assert (codes, out, err) == ([0], [], "")
    (run,) = find_runs([tmp_path])
    assert run.state == "finished"


LATE = """
import os, signal, sys
from attncompare.cli import main
class Late:
    def __del__(self, kill=os.kill, number=signal.SIGINT, me=os.getpid()):
        kill(me, number)
late = Late()
sys.exit(main())
"""


def test_ctrl_c_while_python_takes_itself_apart_changes_no_exit_code(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", LATE, "--version"], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert (done.returncode, done.stdout.split()[0], done.stderr) == (0, "attncompare", "")


def test_nothing_is_collected_while_libraries_are_imported():
    try:
        with importing():
            assert not gc.isenabled()
        assert gc.isenabled() and gc.get_freeze_count() > 0
    finally:
        gc.unfreeze()
