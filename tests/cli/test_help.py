"""What each command says of itself, and what a shell completes."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from commands import attncompare

from attncompare.cli.commands import parser
from attncompare.errors import Refused

(_COMMANDS,) = [action for action in parser()._actions if action.choices]
COMMANDS = {name: own for name, own in _COMMANDS.choices.items() if name != "train"}  # Hydra parses that


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_a_description_and_two_examples_that_it_takes(name):
    text = COMMANDS[name].format_help()
    lines = [line.strip() for line in text.partition("examples:\n")[2].splitlines() if line.strip()]
    assert len(lines) >= 2 and len(COMMANDS[name].description) > 40
    for line in lines:
        script, *words = shlex.split(line.partition(" > ")[0])
        assert script == "attncompare" and parser().parse_args(words).command
    with pytest.raises(Refused):
        parser().parse_args([name, "--no-such-option"])


def test_train_has_them_too(tmp_path):
    done = attncompare("train", "--help", cwd=tmp_path)
    out = done.stdout
    assert done.returncode == 0 and out.startswith("Train one model") and out.count("  attncompare train ") >= 2


@pytest.mark.skipif(not shutil.which("bash"), reason="no bash")
def test_a_shell_completes_commands_and_options(tmp_path):
    """As docs/python.md and the README say: the script that shtab writes, asked as bash asks it."""
    pytest.importorskip("shtab")
    made = subprocess.run(
        [sys.executable, "-m", "shtab", "--shell=bash", "attncompare.cli.commands.parser"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    Path(tmp_path / "completion").write_text(made.stdout)
    asked = """
    source completion
    function=$(complete -p attncompare | sed 's/.*-F \\([^ ]*\\).*/\\1/')
    COMP_WORDS=(attncompare comp) COMP_CWORD=1; $function; echo "${COMPREPLY[@]}"
    COMP_WORDS=(attncompare compare --mark) COMP_CWORD=2; $function; echo "${COMPREPLY[@]}"
    """
    done = subprocess.run(["bash", "-c", asked], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["compare", "--markdown"]
