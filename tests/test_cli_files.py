"""Bad input that only files, folders or the machine can tell: one line, exit code 2, no run left behind."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from commands import SMOKE, TINY, attncompare

GOOD = "a man walks\nthe dog sleeps\ntwo birds sing\n"


def refused(result):
    """Check that a command was refused properly, and return the line that says why."""
    code, out, err = result
    lines = [line for line in err.splitlines() if line.startswith("error: ")]
    assert code == 2 and len(lines) == 1, err
    assert err.endswith(lines[0] + "\n")
    assert out == "" and "Traceback" not in err and "failed after" not in err
    return lines[0]


def pair_files(folder, **changed):
    folder.mkdir()
    for split in ("train", "val", "test"):
        for language in ("en", "de"):
            content = changed.get(f"{split}_{language}", GOOD)
            if content is not None:
                (folder / f"{split}.{language}").write_bytes(
                    content if isinstance(content, bytes) else content.encode()
                )
    return folder


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"val_de": None}, ["val.de", "No such file"]),
        ({"test_en": ""}, ["test.en", "empty"]),
        ({"train_de": "ein Mann geht\n"}, ["train.en has 3 lines", "train.de has 1"]),
        ({"train_en": b"a man walks\nthe d\xffg sleeps\nok\n"}, ["train.en, line 2", "not UTF-8", "0xff"]),
    ],
)
@pytest.mark.parametrize("sweep", [(), ("-m", "attention=dot,scaled")], ids=["run", "sweep"])
def test_bad_pair_files(cli, tmp_path, sweep, changed, words):
    folder = pair_files(tmp_path / "pairs", **changed)
    line = refused(cli("train", *sweep, "trainer=smoke", "data=pairs", f"data.path={folder}"))
    for word in words:
        assert word in line
    assert not Path("runs").exists()


def test_a_folder_of_pairs_that_is_none(cli):
    assert "data.path=nowhere" in refused(cli("train", "data=pairs", "data.path=nowhere"))


@pytest.mark.parametrize("runs", ["file/runs", "/proc/runs"])
def test_runs_that_cannot_be_written(cli, runs):
    Path("file").write_text("in the way")
    result = cli("train", *SMOKE, f"runs={runs}")
    line = refused(result)
    assert "preparing data" not in result[2], "it is refused before any work was done"
    assert f"runs={runs}: cannot write there" in line and "give another folder" in line


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is here")
def test_a_gpu_that_is_not_there(cli):
    line = refused(cli("train", "trainer=gpu"))
    assert "trainer.accelerator=gpu" in line and "trainer=cpu" in line


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["tracking.probes=41"], "tracking.probes=41"),
        (["task.max_length=4"], "task.max_length=4"),
        (["data.tokenizer.vocab_size=500"], "data.tokenizer.vocab_size=500"),
        (
            ["task=language_model", "data=recall", "data.length=30", "data.train_size=9", "task.max_length=9"],
            "max_length=9",
        ),
    ],
)
def test_what_the_data_cannot_give(cli, overrides, words):
    tiny = () if "data=recall" in overrides else TINY
    assert words in refused(cli("train", "trainer=smoke", "trainer.threads=1", *tiny, *overrides))
    assert not Path("runs").exists()


def test_a_prompt_that_is_too_long(cli):
    data = ["task=language_model", "data=recall", "data.length=16", "data.train_size=40", "task.max_length=16"]
    line = refused(cli("train", "trainer=smoke", *data, f"task.sample_prompts=['{'k01 ' * 16}']"))
    assert "task.sample_prompts" in line and "task.max_length=16" in line
    assert not Path("runs").exists()


def test_online_without_a_login_says_how_to_log_in(tmp_path):
    done = attncompare("train", *SMOKE, "tracking=online", cwd=tmp_path)
    line = refused((done.returncode, done.stdout, done.stderr))
    for words in ("tracking=online", "wandb login", "WANDB_API_KEY", "tracking=offline"):
        assert words in line
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("arguments", [("compare",), ("reproduce",), ("attend", "hello")])
def test_a_folder_that_is_no_run(cli, arguments):
    command, *rest = arguments
    assert "nowhere: no such folder" in refused(cli(command, "nowhere", *rest))
    Path("empty").mkdir()
    assert "empty:" in refused(cli(command, "empty", *rest))


@pytest.mark.parametrize("state", ["running", "failed", "interrupted"])
@pytest.mark.parametrize("arguments", [("compare",), ("reproduce",), ("attend", "hello")])
def test_a_run_that_has_not_finished(cli, finished_run, arguments, state):
    copied = Path(shutil.copytree(finished_run.path, "copied"))
    summary = {**finished_run.summary, "state": state, "message": "the cat sat on it"}
    (copied / "summary.json").write_text(json.dumps(summary))
    command, *rest = arguments
    line = refused(cli(command, copied, *rest))
    how = "was killed while it was running" if state == "running" else f"is {state}, not finished"
    assert f"copied: the run {how}: the cat sat on it; go on with: attncompare train --resume copied" in line
    assert "the cat sat on it" in line


def test_attend_refuses_a_text_that_is_empty_or_too_long(cli, finished_run):
    page = Path("page.html")
    assert "empty" in refused(cli("attend", finished_run.path, "", "--html", page))
    assert "fewer than 64" in refused(cli("attend", finished_run.path, "a" * 99, "--html", page))
    assert "--html nowhere/page.html" in refused(cli("attend", finished_run.path, "abc", "--html", "nowhere/page.html"))
    assert not page.exists()
