"""Configs of one's own, outside of the package: chosen like those that come with it, and not needed by any record."""

import shutil
from pathlib import Path

import pytest
import yaml
from commands import SMOKE

from attncompare.config import CONF_DIR, variants
from attncompare.record import find_runs
from attncompare.sweep.folder import Sweep

WINDOW = "# Mine.\ndefaults:\n  - scaled\n\nname: window16\nheads: 2\ndropout: 0.05\n"
GRID = """# @package _global_
# Mine.
defaults:
  - override /attention: window16

hydra:
  mode: MULTIRUN
  sweeper:
    params:
      attention.dropout: 0.05,0.1
    cases:
      - seed=1
"""


@pytest.fixture(autouse=True)
def forgotten():
    yield
    variants.also_in(None)


@pytest.fixture
def make_folder(tmp_path):
    def make(path):
        folder = tmp_path / path
        for name, content in (("attention/window16", WINDOW), ("experiment/mine", GRID)):
            (folder / name).parent.mkdir(parents=True)
            (folder / f"{name}.yaml").write_text(content)
        return folder

    return make


@pytest.mark.parametrize(
    "given", [["--config-dir", "own, of=mine"], ["-cd", "{absolute}"], ["--config-dir=own, of=mine"]]
)
def test_a_folder_that_is_given_is_searched(cli, make_folder, given):
    folder = make_folder("work/own, of=mine")
    arguments = [word.format(absolute=folder) for word in given]
    code, out, err = cli("train", *arguments, "attention=window16", "--cfg", "job", "-p", "attention")
    assert (code, err) == (0, "")
    assert yaml.safe_load(out)["name"] == "window16" and yaml.safe_load(out)["score"] == "scaled"
    assert "did you mean window16" in cli("train", *arguments, "attention=windw16")[2]
    code, _, err = cli("train", "attention=window16")
    assert code == 2 and "unknown attention 'window16'" in err


def test_conf_of_the_current_folder_is_searched_and_said(cli, make_folder):
    folder = make_folder("work/conf")
    code, out, err = cli("train", "+attention=window16", "--cfg", "job")
    assert code == 0 and "window16" in out
    assert err.count("\n") == 1 and "conf" in err
    (folder / "config.yaml").write_text("seed: 7\n")  # the main config of another program
    code, _, err = cli("train", "attention=window16")
    assert code == 2 and "config.yaml" in err and "window16" in err


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("experiment/mine", "seed: 7\n", ["# @package _global_"]),
        ("attention/mine", "defaults:\n  - scald\n", ["unknown attention 'scald'", "did you mean scaled"]),
        ("attention/mine", "defaults:\n  - mine\n", ["is the file itself"]),
        ("data/mine", "defaults:\n  - /attention: scald\n", ["did you mean scaled"]),
        ("data/mine", "defaults:\n  - override /task: translate\n", ["did you mean translation"]),
    ],
)
def test_a_file_that_cannot_be_composed_is_named_with_what_would_be_valid(refused, tmp_path, name, content, words):
    file = tmp_path / "own" / f"{name}.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(content)
    line = refused("train", "--config-dir", tmp_path / "own")
    assert str(file) in line and all(word in line for word in words)


def test_a_folder_that_cannot_be_read_is_refused_in_one_line(refused):
    try:
        Path("/proc/1/cwd").stat()  # of another process, which forbids it, in a folder that has one like a group
    except PermissionError:
        assert "/proc/1/cwd" in refused("train", "-cd", "/proc/1")
    except OSError:
        pytest.skip("there is no such folder here")
    else:
        pytest.skip("everything may be read here")


def test_a_default_may_be_another_own_config_or_optional(cli, make_folder):
    folder = make_folder("work/own")
    (folder / "attention/deep").mkdir()
    (folder / "attention/deep/x.yaml").write_text(
        "defaults:\n  - /attention/window16@_here_\n  - optional /data: nowhere\n"
    )
    assert "window16" in cli("train", "--config-dir", folder, "attention=deep/x", "--cfg", "job", "-p", "attention")[1]


@pytest.mark.parametrize("other", ["empty", "conf itself"])
def test_a_conf_without_own_configs_is_passed_over(cli, tmp_path, other):
    where = tmp_path / "work/conf"
    where.mkdir() if other == "empty" else where.symlink_to(CONF_DIR)
    assert cli("train", "--cfg", "job")[::2] == (0, "")


def test_a_record_is_whole_without_the_folder(cli, make_folder, tmp_path):
    folder = make_folder("work/conf")
    code, out, err = cli("train", *SMOKE, "tracking=disabled", "attention=window16", "attention.head_dim=3")
    assert code == 0, err
    (run,) = find_runs([Path(out.strip())])
    assert "window16-head_dim-3" in run.path.name, "it is named by what differs from the own file"
    assert run.config.attention.dropout == 0.05
    (folder / "attention/window16.yaml").write_text("_target_: os.system\n")  # the record is read alone
    code, out, err = cli("reproduce", run.path)
    assert code == 0 and out.startswith("verdict: identical"), err
    code, out, err = cli("train", "--resume", run.path)  # it is finished: nothing is left to do
    assert code == 0 and out.strip() == str(run.path), err
    shutil.rmtree(folder)
    assert "multihead heads=2 head_dim=3 dropout=0.05" in cli("compare", run.path)[1]


def test_a_sweep_from_own_configs_goes_on_by_the_command_that_it_notes(cli, make_folder, tmp_path):
    make_folder("work/conf")
    code, out, err = cli("train", "+experiment=mine", *SMOKE, "tracking=disabled", "hydra.launcher.workers=1")
    assert code == 0, err
    sweep = Sweep.open(Path(out.strip()))
    assert {run.summary["label"] for run in find_runs([sweep.path])} == {"window16", "window16 dropout=0.1"}
    _, *words = sweep.file.command.split()
    assert words[:4] == ["train", "-m", "--config-dir", "conf"]
    assert cli(*words)[:2] == (0, out)
