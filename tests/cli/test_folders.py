"""Folders and files named on the command line: what stands there is not replaced, and what can go on is named."""

import errno
import json
import os
import shutil
from pathlib import Path

import pytest
import torch
import yaml
from commands import SMOKE, composed_config

from attncompare.record import Run, files, find_runs
from attncompare.training import train

RUN = (*SMOKE, "tracking=disabled", "tracking.probes=1")
PAIRS = "a man walks\nthe dog sleeps\ntwo birds sing\n"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A finished run, and one stopped after its first step."""
    home = tmp_path_factory.mktemp("trained")
    return train(composed_config(home, RUN)), train(composed_config(home, (*RUN, "seed=2")), stop_after=1)


@pytest.fixture
def sweep(trained):
    """A sweep's folder below the current one: one run finished, one stopped, and two that were never started."""
    folder = Path("sweep")
    for name, run in zip("ab", trained, strict=True):
        shutil.copytree(run.path, folder / name)
    (folder / "sweep.yaml").write_text(yaml.safe_dump({"runs": [[f"seed={seed}"] for seed in range(4)]}))
    return folder


@pytest.mark.parametrize("command", ["attend", "compare"])
def test_a_page_replaces_files_and_nothing_else(cli, refused, trained, command):
    arguments = {"attend": (trained[0].path, "abc"), "compare": (trained[0].path,)}[command]
    Path("folder").mkdir()
    older = '<!doctype html>\n<meta name="generator" content="attncompare">'
    Path("old.html").write_text(older)
    Path("own.html").write_text("a page of the user's own")
    assert "own.html" in refused(command, *arguments, "--html", "own.html")
    Path("link").symlink_to("old.html")
    os.mkfifo("pipe")
    for name, kind in {"folder": "folder", "link": "symbolic link", "pipe": "pipe"}.items():
        line = refused(command, *arguments, "--html", name)
        assert f"--html {name}" in line and kind in line
    assert Path("link").is_symlink() and Path("pipe").is_fifo()
    assert Path("old.html").read_text() == older
    Path(".old.html.tmp").symlink_to("precious")
    assert cli(command, *arguments, "--html", "old.html")[0] == 0
    assert Path("old.html").read_text().startswith("<!doctype html>") and not Path("precious").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("compare", ""),
        ("compare", "RUN", "--html", ""),
        ("attend", "RUN", "abc", "--html", ""),
        ("reproduce", ""),
        ("reproduce", "RUN", "--runs", ""),
        ("translate", "RUN", ""),
        ("evaluate", "RUN", "--json", ""),
    ],
)
def test_an_empty_name_is_no_name_of_the_current_folder(refused, trained, arguments):
    assert "must not be empty" in refused(*(str(trained[0].path) if word == "RUN" else word for word in arguments))


@pytest.mark.parametrize("arguments", [("compare",), ("reproduce",), ("attend", "hello"), ("train", "--resume")])
def test_a_folder_that_is_no_run(refused, arguments):
    command, *rest = arguments
    for name, words in (("nowhere", "no such folder"), ("empty", ""), ("n" * 300, "")):
        if name == "empty":
            Path("empty").mkdir()
        given = (command, *rest, name) if command == "train" else (command, name, *rest)
        line = refused(*given)
        assert name[:40] in line and words in line


@pytest.mark.parametrize("state", ["running", "failed"])
@pytest.mark.parametrize("arguments", [("compare",), ("reproduce",), ("attend", "hello")])
def test_a_run_that_has_not_finished_says_why_and_how_it_goes_on(refused, trained, arguments, state):
    copied = Path(shutil.copytree(trained[1].path, "copied"))
    summary = json.loads((copied / "summary.json").read_text())
    (copied / "summary.json").write_text(
        json.dumps({**summary, "state": state, "message": "the cat sat on it\x1b]0;x\x07"})
    )
    command, *rest = arguments
    line = refused(command, copied, *rest)
    assert ("killed" if state == "running" else "failed") in line
    assert "the cat sat on it" in line and "attncompare train --resume copied" in line


def test_attend_refuses_a_text_that_is_empty_or_too_long(refused, trained):
    for text, words in (("", "empty"), ("a" * 99, "fewer than 64")):
        assert words in refused("attend", trained[0].path, text, "--html", "page.html")
    assert "nowhere/page.html" in refused("attend", trained[0].path, "abc", "--html", "nowhere/page.html")
    assert not Path("page.html").exists()


def test_a_run_without_maps_of_its_own_shows_those_of_a_sentence(cli):
    assert cli("train", *RUN, "tracking.probes=0", "runs=plain")[0] == 0
    (run,) = find_runs(["plain"])
    assert not (run.path / "maps").exists()
    code, out, _ = cli("attend", run.path, "abc")
    assert code == 0 and f"page: {run.path}/maps/attend.html" in out


def test_a_sweep_is_not_resumed_as_a_whole_and_its_unfinished_runs_are_named(refused, sweep):
    assert "unfinished: sweep/b interrupted" in refused("train", "--resume", sweep)
    shutil.rmtree(sweep / "b")
    assert "all of them finished" in refused("train", "--resume", sweep)


def test_a_run_goes_on_where_it_stands_and_a_finished_one_is_left_as_it_is(cli, sweep):
    odd = (sweep / "b").rename("[b] run")
    code, out, err = cli("train", "--resume", odd)
    assert (code, out) == (0, "[b] run\n") and "step 1 of 2" in err
    assert Run.open(odd).state == "finished"
    code, out, err = cli("train", "--resume", sweep / "a")
    assert (code, out) == (0, "sweep/a\n") and "already finished" in err and "preparing" not in err


def test_the_runs_of_a_sweep_that_were_not_started_are_counted(cli, sweep):
    words = "2 of its 4 runs not started"
    code, out, err = cli("compare", sweep)
    assert code == 0 and words in err and "sweep/b" in out
    code, out, _ = cli("reproduce", sweep)
    assert code == 0 and words in out
    (sweep / "sweep.yaml").write_text("runs: 4")
    code, out, err = cli("compare", sweep)
    assert code == 0 and "sweep/sweep.yaml" in err and "damaged" in err


@pytest.mark.parametrize("sweep_of", [(), ("-m", "seed=1,2")], ids=["run", "sweep"])
def test_a_disk_that_is_full_at_the_very_start_leaves_no_folder(cli, monkeypatch, sweep_of):
    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files.os, "fsync", full)
    code, out, err = cli("train", *sweep_of, *RUN)
    assert (code, out) == (1, "") and "No space left on device" in err.splitlines()[-1] and "Traceback" not in err
    assert not list(Path("runs").glob("*/*"))


@pytest.mark.parametrize("runs", ["file/runs", "/proc/runs"])
def test_runs_that_cannot_be_written_are_refused_before_any_work(refused, runs):
    Path("file").write_text("in the way")
    assert f"runs={runs}: cannot write there" in refused("train", *SMOKE, f"runs={runs}")


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"val.de": None}, ["val.de", "no such file"]),
        ({"train.de": b"ein Mann geht\n"}, ["train.en", "3", "train.de", "1"]),
        ({"train.en": b"a man walks\nthe d\xffg sleeps\nok\n"}, ["train.en, line 2", "UTF-8"]),
    ],
)
@pytest.mark.parametrize("sweep_of", [(), ("-m", "attention=dot,scaled")], ids=["run", "sweep"])
def test_damaged_files_of_data_leave_no_run(refused, sweep_of, changed, words):
    Path("pairs").mkdir()
    for name in (f"{split}.{language}" for split in ("train", "val", "test") for language in ("en", "de")):
        if (content := changed.get(name, PAIRS.encode())) is not None:
            Path("pairs", name).write_bytes(content)
    line = refused("train", *sweep_of, "trainer=smoke", "data=pairs", "data.path=pairs")
    assert all(word in line for word in words) and not Path("runs").exists()


@pytest.mark.parametrize("override", ["task.max_length=4", "data.tokenizer.vocab_size=4"])
def test_what_the_data_cannot_give_leaves_no_run(refused, override):
    assert override in refused("train", *SMOKE, override)
    assert not Path("runs").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is here")
def test_a_gpu_that_is_not_there(refused):
    line = refused("train", "trainer=gpu")
    assert "trainer.accelerator=gpu" in line and "trainer=cpu" in line
