"""Files in conf/ that would run something or look outside: refused before Hydra sees them."""

import shutil

import pytest

import attncompare.config
from attncompare.config import CONF_DIR

GLOBAL = "# @package _global_\n"
CALL = "{{_target_: os.system, command: touch {canary}}}"
BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join(9 * ['*' + old])}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)

# Where the file goes, what it holds, how it is asked for (it is refused even if nobody asks), and what is said.
CASES = {
    "a-target": ("attention/evil.yaml", f"name: x\nscore: {CALL}\n", ["attention=evil"], "_target_"),
    "a-callback": ("experiment/evil.yaml", f"{GLOBAL}hydra:\n  callbacks:\n    x: {CALL}\n", [], "_target_"),
    "a-hidden-target": (
        "experiment/evil.yaml",
        GLOBAL + 'hydra:\n  callbacks:\n    x: {{"\\x5ftarget\\x5f": os.system, command: touch {canary}}}\n',
        ["experiment=evil"],
        "_target_",
    ),
    "another-launcher": ("experiment/evil.yaml", f"{GLOBAL}hydra:\n  launcher: {CALL}\n", [], "_target_"),
    "a-class-for-the-log": (
        "experiment/evil.yaml",
        GLOBAL + "hydra:\n  job_logging:\n    handlers:\n      x:\n        (): os.system\n",
        ["experiment=evil"],
        "job_logging",
    ),
    "a-header-into-hydra": (
        "experiment/evil.yaml",
        "# @package hydra.callbacks\nx: 1\n",
        ["experiment=evil"],
        "header",
    ),
    "a-default-into-hydra": (
        "experiment/evil.yaml",
        GLOBAL + "defaults:\n  - /attention@hydra.callbacks.x: scaled\n",
        ["experiment=evil"],
        "defaults",
    ),
    "a-default-outside": (
        "experiment/evil.yaml",
        GLOBAL + "defaults:\n  - override /attention: ../../../evil\n",
        ["experiment=evil"],
        "defaults",
    ),
    "an-option-of-hydra": ("hydra/callbacks/evil.yaml", f"x: {CALL}\n", ["+hydra/callbacks=evil"], "Hydra's own"),
    "a-search-path": (
        "experiment/evil.yaml",
        GLOBAL + "hydra:\n  searchpath: [pkg://antigravity]\n",
        ["experiment=evil"],
        "searchpath",
    ),
    "variables-for-child-processes": (
        "experiment/evil.yaml",
        GLOBAL + "hydra:\n  job:\n    env_set: {{LD_PRELOAD: x}}\n",
        ["experiment=evil"],
        "env_set",
    ),
    "a-sweep-into-hydra": (
        "experiment/evil.yaml",
        GLOBAL + "hydra:\n  mode: MULTIRUN\n  sweeper:\n    params:\n      +hydra.callbacks.x._target_: os.system\n",
        ["experiment=evil"],
        "_target_",
    ),
    "a-run-folder": (
        "experiment/evil.yaml",
        GLOBAL + "hydra:\n  run:\n    dir: {canary}\n",
        ["experiment=evil"],
        "run.dir",
    ),
    "an-object": (
        "attention/evil.yaml",
        "name: !!python/object/apply:os.system [touch {canary}]\n",
        ["attention=evil"],
        "line 1: the yaml tag",
    ),
    "a-module": ("attention/evil.yaml", "name: !!python/module:antigravity ''\n", ["attention=evil"], "the yaml tag"),
    "a-bomb-of-anchors": ("attention/evil.yaml", BOMB, ["attention=evil"], "anchors"),
    "a-deep-list": ("attention/evil.yaml", "name: " + 5000 * "[", ["attention=evil"], "nested"),
    "an-environment-variable": (
        "attention/evil.yaml",
        "name: ${{oc.env:HOME}}\n",
        ["attention=evil"],
        "${{oc.env:HOME}}",
    ),
    "an-environment-variable-in-hydra": (
        "experiment/evil.yaml",
        GLOBAL + "hydra:\n  help:\n    app_name: ${{oc.env:HOME}}\n",
        ["experiment=evil", "--help"],
        "${{oc.env:HOME}}",
    ),
    "a-key-twice": ("attention/evil.yaml", "name: a\nname: b\n", ["attention=evil"], "line 2"),
    "no-text": ("attention/evil.yaml", "name: \udcff\udcfe\n", ["attention=evil"], "not UTF-8"),
}


@pytest.fixture
def conf(tmp_path, monkeypatch):
    """A copy of conf/ that the console script reads."""
    folder = shutil.copytree(CONF_DIR, tmp_path / "conf")
    monkeypatch.setattr(attncompare.config, "CONF_DIR", folder)
    return folder


@pytest.mark.parametrize("case", CASES)
def test_a_hostile_file_is_refused(case, conf, refused, canary):
    place, content, arguments, words = CASES[case]
    (conf / place).parent.mkdir(parents=True, exist_ok=True)
    (conf / place).write_bytes(content.format(canary=canary).encode(errors="surrogateescape"))
    said = refused("train", *arguments)
    assert f"conf/{place}" in said and words.format() in said


def test_a_file_that_nobody_asked_for_is_refused_too(conf, refused):
    (conf / "experiment" / "evil.yaml").write_text("x: !!python/name:os.system\n")
    assert "evil.yaml" in refused("train", "-m", "seed=1,2")


def test_a_linked_folder_is_refused(conf, refused, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (conf / "attention" / "linked").symlink_to(tmp_path / "elsewhere")
    assert "symbolic link" in refused("train")


def test_the_copy_itself_is_accepted(conf, cli):
    code, out, err = cli("train", "--cfg", "job")
    assert code == 0 and "attention:" in out, err
