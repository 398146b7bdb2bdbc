"""`--exact-code`: the code of the recorded commit trains, in a worktree that is gone afterwards."""

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from edited import edit_json

from attncompare.reproduce import again
from attncompare.reproduce.worktree import require_commit, worktree

ROOT = Path(__file__).parents[2]


def git(repository, *arguments):
    identity = ("-c", "user.name=Tests", "-c", "user.email=tests@example.org")
    command = ["git", "-C", str(repository), *identity, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def commit(repository):
    git(repository, "add", "--all")
    git(repository, "commit", "--quiet", "--message", "as it is")
    return git(repository, "rev-parse", "HEAD")


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """A repository with three commits of the package: as it is, learning at another rate, and broken; and their ids."""
    folder = tmp_path_factory.mktemp("repository")
    for part in ("attncompare", "conf"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    git(folder, "init", "--quiet")
    commits = {"same": commit(folder)}
    schedule = folder / "attncompare/tasks/schedule.py"
    schedule.write_text(schedule.read_text().replace("return ", "return 0.5 * "))
    commits["other"] = commit(folder)
    (folder / "attncompare/train.py").write_text("raise RuntimeError('this commit was never any good')\n")
    commits["broken"] = commit(folder)
    return folder, commits


@pytest.fixture
def at(copied, repository, monkeypatch):
    """The record as if made by one of the commits, and the repository as if it were that of the installed code."""
    monkeypatch.setattr(again, "CHECKOUT", repository[0])

    def record(name, **git_state):
        state = {"commit": repository[1].get(name, name), "diff": "", "untracked": "", **git_state}
        return edit_json(copied, "environment.json", lambda values: values.update(git=state))

    return record


@pytest.fixture
def nothing_left(repository):
    yield
    assert len(git(repository[0], "worktree", "list").splitlines()) == 1
    assert not list(Path(tempfile.gettempdir()).glob("attncompare-code-*"))


@pytest.mark.usefixtures("nothing_left")
def test_the_recorded_commit_trains(cli, at, repository):
    run = at("same", diff="-a\n+b")
    code, out, err = cli("reproduce", run.path, "--exact-code")
    assert (code, out.splitlines()[0].partition(" (")[0]) == (0, "verdict: identical"), out + err
    assert "the record's uncommitted changes of the code are left out" in err
    assert "git.diff: 2 lines in the record, none now" in err
    assert "training step 6/6" in err, "progress comes through"
    (line,) = [line for line in out.splitlines() if line.startswith("report: ")]
    folder = Path(line.removeprefix("report: ")).parent
    assert json.loads((folder / "environment.json").read_text())["git"]["commit"] == repository[1]["same"]
    assert folder.parts[0] == "runs" and not (folder / "wandb").exists()


@pytest.mark.long
@pytest.mark.usefixtures("nothing_left")
def test_it_is_really_the_code_of_that_commit(cli, at):
    code, out, _ = cli("reproduce", at("other").path, "--exact-code", "--steps", 2)
    assert code == 1
    assert "first difference: train/lr at step 1: " in out


@pytest.mark.long
@pytest.mark.usefixtures("nothing_left")
def test_code_that_breaks_says_its_last_word(cli, at):
    code, out, err = cli("reproduce", at("broken").path, "--exact-code")
    assert (code, out) == (1, "")
    assert "the recorded code broke (exit code 1): RuntimeError: this commit was never any good" in err


@pytest.mark.long
@pytest.mark.usefixtures("nothing_left")
def test_other_data_of_that_code_is_different(cli, at):
    run = at("same")
    edit_json(run, "environment.json", lambda values: values.update(data_fingerprint="0" * 64))
    code, out, _ = cli("reproduce", run.path, "--exact-code")
    assert (code, "nothing was trained" in out, Path("runs").exists()) == (1, True, False)


@pytest.mark.parametrize(
    ("recorded_commit", "words"),
    [
        ("0" * 40, "the commit 0000000000000000000000000000000000000000 is not in this repository"),
        ("--output=canary", "is no commit; valid: 40 hex digits"),
        ("HEAD", "is no commit"),
        ("A" * 40, "is no commit"),
        ("a" * 40 + "\n", "is no commit"),
        (["a"], "is no commit"),
        (None, "the record names no commit"),
    ],
)
def test_a_commit_that_cannot_be(cli, at, recorded_commit, words):
    run = at("same", commit=recorded_commit)
    code, out, err = cli("reproduce", run.path, "--exact-code")
    assert (code, out, err.splitlines()[-1].startswith("error: ")) == (2, "", True)
    assert words in err
    assert not Path("canary").exists() and not Path("runs").exists()


def test_a_package_without_its_repository_says_so(cli, at, tmp_path, monkeypatch):
    monkeypatch.setattr(again, "CHECKOUT", tmp_path)
    assert "was installed without its repository" in cli("reproduce", at("same").path, "--exact-code")[2]


@pytest.mark.usefixtures("nothing_left")
def test_the_worktree_is_gone_after_ctrl_c(repository):
    folder, commits = repository
    with pytest.raises(KeyboardInterrupt), worktree(folder, commits["same"]) as code:
        assert (code / "attncompare/train.py").is_file()
        assert git(code, "rev-parse", "HEAD") == commits["same"]
        os.kill(os.getpid(), 2)
        pytest.fail("the signal was lost")


@pytest.mark.long
@pytest.mark.usefixtures("nothing_left")
def test_ctrl_c_in_the_middle_lets_the_child_close_its_record(cli, at, monkeypatch):
    once = again.train_at

    def interrupting(code, job, shown):
        def on_progress(progress):
            if progress.phase == "training":
                os.kill(os.getpid(), 2)

        return once(code, job, again.Shown(on_progress, shown.on_folder, shown.say))

    monkeypatch.setattr(again, "train_at", interrupting)
    run = at("same")
    config = (run.path / "config.yaml").read_text().replace("max_steps: 6", "max_steps: 60000")
    (run.path / "config.yaml").write_text(config.replace("limit_batches: 2", "limit_batches: null"))
    edit_json(run, "summary.json", lambda _: None)
    assert cli("reproduce", run.path, "--exact-code")[0] == 130
    (summary,) = Path("runs").glob("*/*/summary.json")
    assert json.loads(summary.read_text())["state"] == "interrupted"


def test_hooks_of_the_repository_do_not_run(repository, tmp_path):
    folder, commits = repository
    hook = folder / ".git/hooks/post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch '{tmp_path}/canary'\n")
    hook.chmod(0o755)
    try:
        with worktree(folder, require_commit(folder, commits["same"], "record")):
            assert not (tmp_path / "canary").exists()
    finally:
        hook.unlink()
