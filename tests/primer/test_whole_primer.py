"""The primer as a whole: the command, the notebook, and every command that it shows, with models that are hardly trained."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from browser import needs_browser, opened
from commands import attncompare

from attncompare.primer.chapters import chapters
from attncompare.primer.lessons import QUICK_STEPS
from attncompare.primer.writing import PAGE

MOST = 3_000_000  # bytes of the page
# What makes a training that a chapter shows short; a command that names the same keys is shortened all the same.
SHORT = "trainer.max_steps=2 trainer.validate_every=2 trainer.limit_batches=2 trainer.threads=1 tracking=disabled"
PRELUDE = f"""
set -euo pipefail
attncompare() {{
  if [ "$1" != train ]; then command attncompare "$@"; return; fi
  command attncompare "$@" {SHORT} >made || return
  cat made; last="$(cat made)"
}}
"""


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    """The folder in which ``attncompare primer --quick`` was called, with all that it can write."""
    home = tmp_path_factory.mktemp("primer")
    done = attncompare("primer", "--quick", "--markdown", "guide.md", "--notebook", "primer.ipynb", cwd=home)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == f"runs/primer/{PAGE}"
    return home


@pytest.mark.long
@needs_browser
def test_the_page_is_whole_small_says_that_it_is_quick_and_asks_no_server(quick):
    page = quick / "runs/primer" / PAGE
    text = page.read_text()
    assert len(text.encode()) < MOST and f"for {QUICK_STEPS} steps alone" in text
    assert all(chapter.title in text for chapter in chapters())
    for width in (1280, 400):
        with opened(page, width) as (browser, problems):
            assert browser.locator("main > section").count() == len(chapters())
            assert browser.evaluate("document.documentElement.scrollWidth") <= width
            assert problems == []


@pytest.mark.long
def test_what_was_trained_is_taken_again(quick):
    runs = sorted(quick.glob("runs/primer/*/*/*/summary.json"))
    done = attncompare("primer", "--quick", cwd=quick)
    assert done.returncode == 0 and sorted(quick.glob("runs/primer/*/*/*/summary.json")) == runs


@pytest.mark.long
def test_the_guide_names_pictures_that_are_there(quick):
    named = re.findall(r"\]\((guide/[\w-]+\.png)\)", (quick / "guide.md").read_text())
    assert named and all((quick / one).read_bytes().startswith(b"\x89PNG") for one in named)


@pytest.mark.long
def test_the_notebook_runs_from_its_first_cell_to_its_last(quick):
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    notebook = nbformat.reads((quick / "primer.ipynb").read_text(), as_version=4)
    nbformat.validate(notebook)
    # It takes the models that the command has trained.
    begin = "from attncompare.primer import lessons\nlessons.QUICK = True"
    notebook.cells.insert(0, nbformat.v4.new_code_cell(begin))
    nbclient.NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(quick)}}).execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    pictures = [output for output in outputs if "image/png" in output.get("data", {})]
    assert len(pictures) == len(list((quick / "guide").iterdir())), "each picture once"


@pytest.mark.long
@pytest.mark.parametrize("chapter", chapters(), ids=[chapter.name for chapter in chapters()])
def test_every_command_of_a_chapter_runs(chapter, tmp_path):
    blocks = [block for cell in chapter.cells for block in re.findall(r"```sh\n(.*?)```", cell.text, re.DOTALL)]
    script = re.sub(r"\b(RUN|SWEEP)\b", '"$last"', "\n".join(blocks))
    script = re.sub(
        r"^(.*task\.causal=false.*)$", r"! \1", script, flags=re.MULTILINE
    )  # the chapter says that it is refused
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", PRELUDE + script],
        cwd=tmp_path,
        env={**os.environ, "PATH": path, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
