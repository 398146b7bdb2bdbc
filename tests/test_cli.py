"""The commands that do something, as a user sees them."""

import re
from pathlib import Path

from attncompare.record import Run


def test_train_prints_the_folder_of_a_finished_run_and_its_progress(cli):
    from commands import SMOKE

    code, out, err = cli("train", *SMOKE, "tracking=disabled")
    assert code == 0
    run = Run.open(out.strip())
    assert run.state == "finished"
    assert out.strip().startswith("runs/")
    assert run.path.joinpath("overrides.yaml").read_text().splitlines() == [
        f"- {o}" for o in (*SMOKE, "tracking=disabled")
    ]
    for words in ("preparing data", f"recording in {run.path}", "training step 2/2, loss", "testing", "finished after"):
        assert words in err


def test_compare_prints_a_table_and_writes_a_page(cli, finished_run):
    code, out, _ = cli("compare", finished_run.path, "--html", "page.html")
    assert code == 0
    assert "multihead" in out and "BLEU" in out
    assert Path("page.html").stat().st_size > 10_000


def test_attend_prints_maps_and_writes_a_page(cli, finished_run):
    code, out, _ = cli("attend", finished_run.path, "abc", "--layer", "1", "--head", "2", "--html", "page.html")
    assert code == 0
    assert "cross" in out
    assert re.search(r"page: page\.html", out)
    assert Path("page.html").stat().st_size > 10_000
