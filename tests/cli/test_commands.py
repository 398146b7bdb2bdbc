"""The commands that do something, as a user sees them."""

import subprocess
import sys
from pathlib import Path

from commands import SMOKE

from attncompare.record import Run


def test_train_prints_the_folder_of_a_finished_run_and_its_progress(cli):
    code, out, err = cli("train", *SMOKE, "tracking=disabled")
    run = Run.open(out.strip())
    assert code == 0 and run.state == "finished" and out.startswith("runs/")
    asked = [f"- {override}" for override in (*SMOKE, "tracking=disabled")]
    assert (run.path / "overrides.yaml").read_text().splitlines() == asked
    for words in ("preparing data", f"recording in {run.path}", "training step 2/2, loss", "finished after"):
        assert words in err


def test_compare_prints_a_table_and_writes_a_page(cli, finished_run):
    code, out, _ = cli("compare", finished_run.path, "--html", "page.html")
    assert code == 0 and "multihead" in out and "BLEU" in out
    assert Path("page.html").stat().st_size > 10_000


def test_attend_prints_maps_and_writes_a_page(cli, finished_run):
    code, out, _ = cli("attend", finished_run.path, "abc", "--layer", "1", "--head", "2", "--html", "page.html")
    assert code == 0 and "cross" in out and "page: page.html" in out
    assert Path("page.html").stat().st_size > 10_000


def test_the_version_also_as_a_module(cli, tmp_path):
    code, out, _ = cli("--version")
    assert code == 0 and out.split()[0] == "attncompare" and out.split()[1][0].isdigit()
    command = [sys.executable, "-m", "attncompare", "--version"]
    assert subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path).stdout == out
