"""In a copy of the package: parts come and go with a file and a yaml each, and nothing else names them."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from commands import SMOKE, environment
from test_extending_page import PAGE, shown

ROOT = Path(__file__).parents[2]
TRANSLATION = ("task=translation", *SMOKE)
LANGUAGE_MODEL = (
    *("task=language_model", "data=recall", "data.train_size=60", "data.val_size=20", "data.test_size=20"),
    *(word for word in SMOKE if word.startswith(("trainer", "backbone"))),
)
EVERY_MODULE = """
import importlib, pkgutil, attncompare
for module in pkgutil.walk_packages(attncompare.__path__, "attncompare."):
    if not module.name.endswith(("__main__", "triton_additive")):
        importlib.import_module(module.name)
print(attncompare.__file__)
"""


@pytest.fixture
def copy(tmp_path):
    """A copy of the package and its configs."""
    for folder in ("attncompare", "conf", "hydra_plugins"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def python(copy, *arguments):
    variables = {**environment(copy), "PYTHONPATH": str(copy), "COLUMNS": "300", "ATTNCOMPARE_NATIVE": "0"}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=copy, env=variables, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def train(copy, *overrides):
    run = copy / python(copy, "-m", "attncompare", "train", "tracking=disabled", *overrides).strip()
    assert '"state": "finished"' in (run / "summary.json").read_text()
    return run


def delete_metric(copy, name, class_name):
    """Remove the class of a metric, and its name from the yaml of tasks."""
    file = copy / "attncompare" / "tasks" / "metrics.py"
    text = file.read_text()
    without = re.sub(rf"^class {class_name}\(.*?(?=^(?:class|def|@) ?)", "", text, flags=re.MULTILINE | re.DOTALL)
    assert len(without) < len(text)
    file.write_text(without)
    for yaml in (copy / "conf" / "task").glob("*.yaml"):
        yaml.write_text(re.sub(rf"\b{name}, |, {name}\b", "", yaml.read_text()))


def test_a_score_is_added_to_the_repository_by_one_file_and_one_yaml(copy):
    for path in ("attncompare/attention/scores/laplace.py", "conf/attention/laplace.yaml"):
        (copy / path).write_text(shown(PAGE.read_text())[path])
    run = train(copy, *TRANSLATION, "attention=laplace", "attention.score.temperature=0.5")
    assert "temperature: 0.5" in (run / "config.yaml").read_text()


FOLDERS = {
    "angular.py": "attncompare/attention/scores",
    "addition.py": "attncompare/data/corpora",
    "parallel.py": "attncompare/model/backbones",
    "answers.py": "attncompare/tasks",
}


def test_what_the_page_prints_for_a_package_fits_into_the_repository_and_its_linter(copy):
    for path, text in shown(PAGE.read_text()).items():
        file = Path(path)
        if file.name in FOLDERS:
            (copy / FOLDERS[file.name] / file.name).write_text(text)
        elif "conf" in file.parts and file.parent.name != "trainer":
            (copy / "conf" / file.parent.name / file.name).write_text(text)
    metrics, answers = (copy / "attncompare" / "tasks" / name for name in ("metrics.py", "answers.py"))
    solved = re.search(r"^class Solved.*?(?=^class )", answers.read_text(), re.MULTILINE | re.DOTALL)[0]
    metrics.write_text(
        f"{metrics.read_text()}\n\n{solved.rstrip()}\n"
    )  # there metrics of the repository are looked for
    unused = r"^class Solved.*?(?=^class )|^import numpy as np\n|^from attncompare.tasks.metrics import Metric\n"
    answers.write_text(re.sub(unused, "", answers.read_text(), flags=re.MULTILINE | re.DOTALL))
    shutil.copy(ROOT / "pyproject.toml", copy)
    for command in (["check"], ["format", "--check"]):
        python(copy, "-m", "ruff", *command, "--no-cache", "attncompare")
    train(
        copy,
        *("task=answers", "backbone=parallel", "attention=angular", "trainer=smoke", "trainer.threads=1"),
        *("data.train_size=300", "data.val_size=40", "data.test_size=40", "backbone.d_model=16", "backbone.layers=1"),
    )


@pytest.mark.long
@pytest.mark.parametrize(
    ("deleted", "metric", "runs"),
    [
        (
            ["tasks/language_model", "data/corpora/tinyshakespeare", "attention/scores/additive"],
            ("ter", "Ter"),
            [(*TRANSLATION, "attention=multihead")],
        ),
        (
            ["tasks/translation", "data/corpora/locale", "attention/scores/scaled"],
            ("bits_per_byte", "BitsPerByte"),
            [(*LANGUAGE_MODEL, "attention=dot"), (*LANGUAGE_MODEL, "attention=additive")],
        ),
        (
            ["data/corpora/reverse", "data/corpora/multi30k", "data/corpora/pairs", "data/corpora/text"],
            ("chrf", "ChrF"),
            [LANGUAGE_MODEL],
        ),
    ],
    ids=["language model", "translation", "datasets"],
)
def test_what_is_deleted_is_missed_by_nothing_else(copy, deleted, metric, runs):
    groups = {"tasks": "task", "corpora": "data", "scores": "attention"}
    for part in deleted:
        path = copy / "attncompare" / part
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.with_suffix(".py").unlink()
        yaml = copy / "conf" / groups[path.parent.name] / f"{path.name}.yaml"
        if path.name == "scaled":  # the other variants inherit its yaml
            yaml.write_text(yaml.read_text().replace("score: scaled", "score: dot"))
        else:
            yaml.unlink()
    delete_metric(copy, *metric)
    assert python(copy, "-c", EVERY_MODULE).strip() == str(copy / "attncompare" / "__init__.py")
    for overrides in runs:
        train(copy, *overrides)
