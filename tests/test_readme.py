"""Every command and every piece of Python that the README prints is run, training ones with trainer=smoke."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
# Training commands are shortened; `make` is only asked whether it knows the target.
PRELUDE = f"""
set -euo pipefail
attncompare() {{
  if [ "$1" = train ]; then command attncompare "$@" trainer=smoke; else command attncompare "$@"; fi
}}
make() {{ command make --dry-run --directory {ROOT} "$@" >/dev/null; }}
"""


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)


def environment():
    return {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


@pytest.mark.parametrize(
    "block", [pytest.param(block, marks=[] if "make" in block else pytest.mark.long) for block in blocks("bash")]
)
def test_the_commands_of_the_readme_run(block, tmp_path):
    done = subprocess.run(
        ["bash", "-c", PRELUDE + block], cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_python_of_the_readme_runs():
    for block in blocks("python"):
        exec(compile(block, "README.md", "exec"), {})


def test_make_compare_trains_compares_and_writes_the_page(tmp_path):
    prefix = Path(sys.prefix)
    overrides = f"trainer=smoke attention=dot runs={tmp_path / 'runs'}"
    command = ["make", "compare", f"VENV={prefix}", "-o", str(prefix / "installed"), f"OVERRIDES={overrides}"]
    done = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    page = Path(re.search(r"Page: (.*)", done.stdout)[1].strip())
    assert page.is_file()
    assert "Translation" in done.stdout and "Language model" in done.stdout
