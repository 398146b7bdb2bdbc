"""The record of the code: its commit, what differs from it, and what git does not know."""

import json
import secrets
import subprocess
import sys

import pytest

from attncompare.record import environment as environment_module
from attncompare.record import cpu_features, environment, git_state


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
    assert git_state(tmp_path) == {"commit": commit, "diff": "", "untracked": "", "left_out": []}
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
    secret = secrets.token_hex(20)  # made here, as the diff of this very file may be recorded
    monkeypatch.setenv("WANDB_API_KEY", secret)
    assert secret not in str(environment("fingerprint"))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells in a file")
@pytest.mark.parametrize(
    ("key", "wanted"), [("flags", ["avx2", "avx512_bf16", "fma"]), ("Features", ["asimd", "bf16"])]
)
def test_the_instructions_that_compute_are_recorded_sorted(key, wanted, tmp_path, monkeypatch):
    (tmp_path / "cpuinfo").write_text(
        f"processor\t: 0\nmodel name\t: One\n{key}\t\t: smep fpu {' '.join(wanted[::-1])}\n"
    )
    monkeypatch.setattr(environment_module, "_CPU_INFO", tmp_path / "cpuinfo")
    environment_module._cpu_facts.cache_clear()
    try:
        assert cpu_features() == wanted
    finally:
        environment_module._cpu_facts.cache_clear()


def test_the_libraries_of_matrix_products_are_recorded():
    facts = json.loads(json.dumps(environment("fingerprint")))
    assert set(facts["blas"]) == {"mkl", "mkldnn"} and facts["cpu_features"] == sorted(facts["cpu_features"])
