"""The records that come with the code: whole, and their first steps come out the same again."""

import json
from pathlib import Path

import pytest

from attncompare.record import Run

HOME = Path(__file__).parents[2] / "runs" / "reference"
REFERENCES = sorted(file.parent for file in HOME.rglob("summary.json"))
# Of a comparison's records the first seed of each variant, and only in the long tests: their data alone take seconds.
TRAINED_AGAIN = [
    *(folder for folder in REFERENCES if folder.parent == HOME),
    *(pytest.param(folder, marks=pytest.mark.long) for folder in REFERENCES if folder.name.endswith("-s1")),
]
CODE = {".py", ".cpp", ".h", ".yaml", ".toml", ".j2", ".js", ".css", ".html"}  # files that a run could depend on


def files_of(folder):
    """Return where the files of a record's data stand here, as an option."""
    path = getattr(Run.open(folder).config.data, "path", None)
    if path is None:
        return []
    here = HOME.parents[1].parent / "shared/data" / Path(path).name
    if not here.is_dir():
        pytest.skip(f"no files of {here.name} in {here.parent}")
    return ["--data", f"path={here}"]


def name(folder):
    return folder.relative_to(HOME).as_posix()


def test_there_is_one_for_make_reproduce():
    makefile = (Path(__file__).parents[2] / "Makefile").read_text()
    (wanted,) = [line.split("= ")[1] for line in makefile.splitlines() if line.startswith("REFERENCE ?=")]
    assert (HOME / wanted).is_dir()


@pytest.mark.parametrize("folder", REFERENCES, ids=name)
def test_it_is_sealed_and_clean(folder):
    run = Run.open(folder).require_finished()
    assert run.metrics() and run.predictions() and run.config and (folder / "tokenizer.json").exists()
    git = run.environment()["git"]
    assert (git["diff"], git["left_out"]) == ("", [])
    assert not CODE & {Path(file).suffix for file in git["untracked"].split(", ")}
    assert run.config.runs == "runs"


@pytest.mark.parametrize("folder", TRAINED_AGAIN, ids=name)
def test_its_first_steps_come_out_the_same(cli, folder):
    """Another processor may round otherwise, which after so few steps is still little."""
    code, _, err = cli("reproduce", f"reference/{name(folder)}", "--steps", "40", *files_of(folder))
    assert code == 0, err
    (report,) = Path("runs").rglob("reproduction.json")
    assert json.loads(report.read_text())["verdict"] in ("identical", "equal within tolerance")
