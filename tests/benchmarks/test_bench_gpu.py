"""`make bench-gpu`: the tables of a machine with a GPU; without one it says so."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="no make")


@pytest.fixture
def bench(tmp_path):
    """Run the target in an environment whose torch does or does not find a GPU, and whose benchmarks print this."""

    def run(gpu, prints="echo"):
        scripts = tmp_path / "venv" / "bin"
        scripts.mkdir(parents=True)
        for name, line in (("python", "true" if gpu else "false"), ("attncompare", prints)):
            (scripts / name).write_text(f'#!/bin/sh\n{line} "$@"\n')
            (scripts / name).chmod(0o755)
        (scripts.parent / "installed").touch()
        variables = (f"VENV={scripts.parent}", f"GPU_TABLES={tmp_path / 'tables.md'}")
        command = ["make", "bench-gpu", *variables]
        kept = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
        return subprocess.run(command, cwd=ROOT, env=kept, capture_output=True, text=True, check=False)

    return run


def test_without_a_gpu_one_line_says_so(bench, tmp_path):
    done = bench(gpu=False)
    assert done.returncode == 0 and len(done.stdout.splitlines()) == 1
    assert "torch finds no CUDA device here: nothing was measured" in done.stdout
    assert not (tmp_path / "tables.md").exists()


def test_on_a_gpu_every_benchmark_is_in_the_page(bench, tmp_path):
    done = bench(gpu=True)
    assert done.returncode == 0, done.stderr
    lines = (tmp_path / "tables.md").read_text().splitlines()
    assert lines[0] == "# Speed on a GPU"
    for name in ("attention", "train", "decode"):
        assert f"bench {name} --device cuda --markdown" in lines


def test_a_benchmark_that_fails_leaves_the_page_as_it_was(bench, tmp_path):
    (tmp_path / "tables.md").write_text("before")
    assert bench(gpu=True, prints="false").returncode != 0
    assert (tmp_path / "tables.md").read_text() == "before"
