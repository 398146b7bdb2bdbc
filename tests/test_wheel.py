"""The built wheel works from any folder: conf/ and the launcher are part of it."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Unpack the wheel into a folder of its own, as pip would."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def run(installed, cwd, *arguments):
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    command = [sys.executable, "-m", "attncompare", *arguments]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


def test_the_wheel_holds_every_config_and_template(installed):
    for folder in ("conf", "attncompare", "hydra_plugins"):
        for file in (ROOT / folder).rglob("*"):
            if file.is_file() and "__pycache__" not in file.parts:
                target = installed / ("attncompare" if folder == "conf" else ".") / file.relative_to(ROOT)
                assert target.read_bytes() == file.read_bytes()


@pytest.mark.long
def test_a_sweep_runs_from_the_wheel_into_the_current_folder(installed, tmp_path):
    overrides = ("trainer=smoke", "data=reverse", "attention=dot,additive", "tracking=disabled")
    done = run(installed, tmp_path, "train", "-m", *overrides)
    assert done.returncode == 0, done.stderr
    sweep = Path(done.stdout.strip())
    assert (tmp_path / sweep / "sweep.yaml").is_file()
    assert sweep.parts[0] == "runs"
    done = run(installed, tmp_path, "compare", str(sweep))
    assert done.returncode == 0, done.stderr


def test_the_code_under_test_is_the_wheels(installed, tmp_path):
    where = "import attncompare, attncompare.config as c; print(attncompare.__file__, c.CONF_DIR)"
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    command = [sys.executable, "-c", where]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(installed / "attncompare/__init__.py"), str(installed / "attncompare/conf")]
