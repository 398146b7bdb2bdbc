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
    assert f"attention maps: {run.path / 'maps/index.html'}" in err and (run.path / "maps/index.html").is_file()
    code, _, err = cli("train", *SMOKE, "tracking=disabled", "tracking.probes=0")
    assert code == 0 and "attention maps" not in err


def test_two_hundred_lines_of_ones_own_train_with_the_defaults(cli, tmp_path):
    lines = [
        f"the {color} {thing} {number}" for color in ("red", "blue") for thing in ("cat", "dog") for number in range(50)
    ]
    for split, own in (("train", lines), ("val", lines[:20]), ("test", lines[20:40])):
        (tmp_path / f"{split}.en").write_text("\n".join([*own, "", ""]))
        (tmp_path / f"{split}.de").write_text("\n".join([*map(str.upper, own), "DAS", ""]))
    where = ("data=pairs", f"data.path={tmp_path}", "trainer.max_steps=2", "trainer.threads=1", "tracking=disabled")
    code, out, err = cli("train", *where)
    assert code == 2 and out == "" and err.splitlines()[-1].count("data.blank_lines=drop") == 1
    code, out, err = cli("train", *where, "data.blank_lines=drop")
    data = Run.open(out.strip()).summary["data"]
    assert code == 0 and data["vocab_size"] < 8000 and data["train"]["blank"] == 1 and data["train"]["rows"] == 200
    assert f"vocab_size=8000: the train split gives {data['vocab_size']} tokens" in err
    assert "train: left out 1 blank row" in err


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
