"""The records that come with the code: few, small, whole, and their first steps come out the same again."""

import json
from pathlib import Path

import pytest

from attncompare.record import Run, unpack
from attncompare.reproduce.sources import REFERENCES, references

CODE = {".py", ".cpp", ".h", ".yaml", ".toml", ".j2", ".js", ".css", ".html"}  # files that a run could depend on
WITHOUT_CURVES = ("morse",)  # which are four times as large as the rest of its record
pytestmark = pytest.mark.skipif(not references(), reason="no archives of reference runs in runs/reference")


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    """The runs of each archive."""
    folder = tmp_path_factory.mktemp("references")
    return {name: sorted(unpack(REFERENCES / f"{name}.tar.xz", folder).iterdir()) for name in references()}


def test_they_are_few_and_small():
    files = [file for file in REFERENCES.rglob("*") if file.is_file()]
    assert len(files) < 60 and sum(file.stat().st_size for file in files) < 3 * 2**20


def test_there_is_one_for_make_reproduce():
    makefile = (REFERENCES.parents[1] / "Makefile").read_text()
    (wanted,) = [line.split("= ")[1] for line in makefile.splitlines() if line.startswith("REFERENCE ?=")]
    assert wanted in references()


@pytest.mark.parametrize("name", references())
def test_each_run_is_sealed_and_its_code_committed(name, unpacked):
    for folder in unpacked[name]:
        run = Run.open(folder).require_finished()
        assert bool(run.metrics()) == (name not in WITHOUT_CURVES)
        assert run.config.runs == "runs" and run.has("tokenizer.json")
        git = run.environment()["git"]
        assert (git["diff"], git["left_out"]) == ("", [])
        assert not CODE & {Path(file).suffix for file in git["untracked"].split(", ")}


# The first run of a sweep only in the long tests: its data alone take seconds.
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name.startswith("reverse") else pytest.mark.long) for name in references()]
)
def test_first_steps_come_out_the_same(cli, name, unpacked):
    """Another processor may round otherwise, which after so few steps is still little."""
    run = Run.open(unpacked[name][0])
    path = getattr(run.config.data, "path", None)
    if path is not None and not Path(path).exists():
        pytest.skip(f"no files of {path} here")
    if name in WITHOUT_CURVES:
        pytest.skip("its curves were left out, and with them the first steps")
    code, _, err = cli("reproduce", f"reference/{name}/{run.path.name}", "--steps", "40")
    assert code == 0, err
    (report,) = Path("runs").rglob("reproduction.json")
    assert json.loads(report.read_text())["verdict"] in ("identical", "equal within tolerance")
