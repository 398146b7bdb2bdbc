"""The record of the code: its commit, what differs from it, and what git does not know."""

import subprocess

from attncompare.tracking.environment import environment, git_state


def git(folder, *arguments):
    identity = ("-c", "user.name=someone", "-c", "user.email=someone@example.invalid")
    return subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout


def test_a_checkout_is_recorded_with_all_that_its_commit_does_not_hold(tmp_path):
    git(tmp_path, "init")
    (tmp_path / "code.py").write_text("a = 1\n")
    (tmp_path / ".gitignore").write_text("ignored\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "first")
    commit = git(tmp_path, "rev-parse", "HEAD").strip()
    assert git_state(tmp_path) == {"commit": commit, "diff": "", "untracked": ""}
    (tmp_path / "code.py").write_text("a = 2\n")
    for name in ("new.py", "other.yaml", "ignored"):
        (tmp_path / name).touch()
    state = git_state(tmp_path)
    assert "-a = 1\n+a = 2" in state["diff"]
    assert state["untracked"] == "new.py, other.yaml"


def test_a_folder_inside_somebody_elses_checkout_is_none(tmp_path):
    git(tmp_path, "init")
    (tmp_path / "site-packages").mkdir()
    assert git_state(tmp_path / "site-packages") is None


def test_no_environment_variable_enters_the_record(monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", "a-secret-that-nobody-may-read")
    assert "a-secret-that-nobody-may-read" not in str(environment("fingerprint"))
