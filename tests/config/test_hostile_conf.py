"""Files in conf/ that would run something or look outside: refused before Hydra sees them."""

import shutil

import pytest

import attncompare.config
from attncompare.config import CONF_DIR

HYDRA = "# @package _global_\nhydra:\n  "
DEFAULTS = "# @package _global_\ndefaults:\n  - "
CALL = "{{_target_: os.system, command: touch {canary}}}"
ENV = "${{oc.env:HOME}}"
BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join(9 * ['*' + old])}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)

# The group that the file goes to, what it holds, and what is said; it is refused even if nobody asks for it.
CASES = {
    "a-target": ("attention", f"name: x\nscore: {CALL}\n", "_target_"),
    "a-callback": ("experiment", f"{HYDRA}callbacks:\n    x: {CALL}\n", "_target_"),
    "a-hidden-target": ("experiment", HYDRA + 'callbacks: {{x: {{"\\x5ftarget\\x5f": os.system}}}}\n', "_target_"),
    "another-launcher": ("experiment", f"{HYDRA}launcher: {CALL}\n", "_target_"),
    "a-class-for-the-log": (
        "experiment",
        HYDRA + "job_logging: {{handlers: {{x: {{(): os.system}}}}}}\n",
        "job_logging",
    ),
    "a-header-into-hydra": ("experiment", "# @package hydra.callbacks\nx: 1\n", "header"),
    "a-default-into-hydra": ("experiment", f"{DEFAULTS}/attention@hydra.callbacks.x: scaled\n", "defaults"),
    "a-default-outside": ("experiment", f"{DEFAULTS}override /attention: ../../../evil\n", "defaults"),
    "an-option-of-hydra": ("hydra/callbacks", f"x: {CALL}\n", "Hydra's own"),
    "a-search-path": ("experiment", f"{HYDRA}searchpath: [pkg://antigravity]\n", "searchpath"),
    "variables-for-child-processes": ("experiment", HYDRA + "job: {{env_set: {{LD_PRELOAD: x}}}}\n", "env_set"),
    "a-sweep-into-hydra": (
        *("experiment", HYDRA + "sweeper: {{params: {{+hydra.callbacks.x._target_: os.system}}}}\n", "_target_"),
    ),
    "a-run-folder": ("experiment", HYDRA + "run: {{dir: '{canary}'}}\n", "run.dir"),
    "an-object": ("attention", "name: !!python/object/apply:os.system [touch {canary}]\n", "line 1: the yaml tag"),
    "a-module": ("attention", "name: !!python/module:antigravity ''\n", "the yaml tag"),
    "a-bomb-of-anchors": ("attention", BOMB, "anchors"),
    "a-deep-list": ("attention", "name: " + 5000 * "[", "nested"),
    "an-environment-variable": ("attention", f"name: {ENV}\n", ENV),
    "an-environment-variable-in-hydra": ("experiment", f"{HYDRA}help: {{{{app_name: '{ENV}'}}}}\n", ENV),
    "a-key-twice": ("attention", "name: a\nname: b\n", "line 2"),
    "no-text": ("attention", "name: \udcff\udcfe\n", "not UTF-8"),
}


@pytest.fixture
def conf(tmp_path, monkeypatch):
    """A copy of conf/ that the console script reads."""
    folder = shutil.copytree(CONF_DIR, tmp_path / "conf")
    monkeypatch.setattr(attncompare.config, "CONF_DIR", folder)
    return folder


@pytest.mark.parametrize("asked", [True, False])
@pytest.mark.parametrize("case", CASES)
def test_a_hostile_file_is_refused(case, asked, conf, refused, canary):
    group, content, words = CASES[case]
    (conf / group).mkdir(parents=True, exist_ok=True)
    (conf / group / "evil.yaml").write_bytes(content.format(canary=canary).encode(errors="surrogateescape"))
    sign = "+" if group == "hydra/callbacks" else ""
    said = refused("train", *([f"{sign}{group}=evil"] if asked else []))
    assert f"conf/{group}/evil.yaml" in said and words.format() in said


def test_a_linked_folder_is_refused(conf, refused, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (conf / "attention" / "linked").symlink_to(tmp_path / "elsewhere")
    assert "symbolic link" in refused("train")


def test_the_copy_itself_is_accepted(conf, cli):
    code, out, err = cli("train", "--cfg", "job")
    assert code == 0 and "attention:" in out, err
