"""A package outside of attncompare, which is installed here: all commands serve its parts, and its mistakes get one line."""

import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from commands import environment

from attncompare import registry

ROOT = Path(__file__).parents[2]
PACKAGE = Path(__file__).parent
SMALL = (
    *("trainer=smoke", "trainer.threads=1", "tracking=disabled"),
    *("task=answers", "data.train_size=300", "data.val_size=40", "data.test_size=40", "data.batch_size=16"),
    *("backbone=parallel", "backbone.d_model=16", "backbone.layers=1", "backbone.d_ff=16"),
)


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The folder into which pip installed the package; its names must be free."""
    groups = tomllib.loads((PACKAGE / "pyproject.toml").read_text())["project"]["entry-points"]
    for group, parts in groups.items():
        if taken := set(parts) & set(registry.names(group.removeprefix("attncompare."))):
            pytest.skip(f"the repository itself has parts of these names: {', '.join(taken)}")
    folder = tmp_path_factory.mktemp("installed")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    alone = ["--no-index", "--no-deps", "--no-build-isolation", "--target", folder]
    subprocess.run([*pip, *alone, PACKAGE], check=True)
    return folder


def python(arguments, cwd, *folders):
    """Run Python where packages are found in ``folders`` too."""
    path = os.pathsep.join(map(str, (*folders, ROOT)))
    variables = {**environment(cwd), "PYTHONPATH": path, "COLUMNS": "300", "ATTNCOMPARE_NATIVE": "0"}
    return subprocess.run(
        [sys.executable, *map(str, arguments)], cwd=cwd, env=variables, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def command(installed, tmp_path_factory):
    """Run ``attncompare ARGUMENTS`` with the package in a folder of its own; gives its standard output."""
    home = tmp_path_factory.mktemp("home")

    def run(*arguments):
        done = python(["-m", "attncompare", *arguments], home, installed)
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout

    run.home = home
    return run


@pytest.fixture(scope="module")
def sweep(command):
    """The folder of a sweep over the package's score with two values of a setting, and a built-in one."""
    cases = ["attention=angular,scaled", "trainer.callbacks=[parameter_norm]", "hydra.launcher.workers=1"]
    return command.home / command("train", "-m", *SMALL, *cases).strip()


def runs_of(folder):
    return {json.loads((path / "summary.json").read_text())["label"]: path for path in folder.glob("*-s1-*")}


def test_its_parts_train_together(sweep):
    runs = runs_of(sweep)
    assert set(runs) == {"angular", "scaled"}
    for run in runs.values():
        summary = json.loads((run / "summary.json").read_text())
        assert summary["state"] == "finished"
        assert {"solved", "loss", "token_accuracy"} <= set(summary["test"])
        header, *_, last = (run / "metrics.csv").read_text().splitlines()
        assert float(last.split(",")[header.split(",").index("parameter_norm")]) > 0
        items = [json.loads(line) for line in (run / "items.jsonl").read_text().splitlines()]
        assert all(item["solved"][1] == 1 for item in items)
        answers = [json.loads(line) for line in (run / "predictions.jsonl").read_text().splitlines()]
        for row in answers:
            one, other = map(int, row["prompt"].rstrip("=").split("+"))
            assert int(row["reference"]) == one + other


def test_its_score_trains_in_a_built_in_model(command):
    built_in = ("task=translation", "data=reverse", "backbone=transformer", "task.val_decodes=8")
    small = [word for word in SMALL if word not in ("task=answers", "backbone=parallel")]
    run = (
        command.home
        / command(
            "train", *small, *built_in, "attention=angular", "attention.score.scale=3", "attention.score.learned=false"
        ).strip()
    )
    assert json.loads((run / "summary.json").read_text())["state"] == "finished"
    assert "scale: 3" in (run / "config.yaml").read_text()


def test_its_runs_are_compared_in_its_metric(command, sweep):
    printed = command("compare", sweep, "--html", command.home / "page.html")
    assert all(word in printed for word in ("Answers", "solved", "angular", "scaled"))
    page = (command.home / "page.html").read_text()
    assert "validation solved rows" in page
    assert "decoder self-attention" in page


def test_its_runs_are_reproduced(command, sweep):
    printed = command("reproduce", runs_of(sweep)["angular"])
    assert "verdict: identical" in printed


def test_its_maps_are_shown(command, sweep):
    run = runs_of(sweep)["angular"]
    assert list((run / "maps").glob("step-*-decoder_self.png"))
    printed = command("attend", run, "12+7=")
    assert all(word in printed for word in ("decoder self-attention", "head 2", "attend.html"))


def test_its_runs_are_refused_in_one_line_where_it_is_not_installed(sweep, tmp_path):
    done = python(["-m", "attncompare", "attend", runs_of(sweep)["angular"], "12+7="], tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert "unknown task.name 'answers'" in done.stderr
    assert done.stderr.count("\n") == 1


# Each mistake of an author: the file, what is replaced in it by what, and words of the line that says so.
MISTAKES = {
    "scores of a wrong shape": (
        "angular.py",
        "* cosine_BHTS",
        "* cosine_BHTS.sum(1)",
        ["Angular", "shape", "(B, H, T, S)"],
    ),
    "a score that depends on all keys": (
        "angular.py",
        "* cosine_BHTS",
        "* (cosine_BHTS - cosine_BHTS.mean(-1, keepdim=True))",
        ["score Angular", "other queries or keys"],
    ),
    "initial values of torch's own generator": (
        "angular.py",
        "parameter.fill_(self.scale)",
        "parameter.normal_()",
        ["Angular.initial_", "scale_H", "generator"],
    ),
    "initial values that are not filled in": (
        "angular.py",
        "parameter.fill_(self.scale)",
        "parameter = parameter + self.scale",
        ["Angular.initial_", "scale_H", "in place"],
    ),
    "a score without a cost": (
        "angular.py",
        "def flops_per_score",
        "def flops",
        ["score 'angular'", "flops_per_score"],
    ),
    "a score without initial values": ("angular.py", "def initial_", "def start_", ["angular", "initial_", "scale_H"]),
    "a score of another base": (
        "angular.py",
        "Angular(ScoreFunction)",
        "Angular(nn.Module)",
        ["Angular", "ScoreFunction"],
    ),
    "a constructor without a setting": (
        "angular.py",
        ", learned: bool)",
        ")",
        ["__init__", "heads, head_dim, scale, learned"],
    ),
    "a Config of another base": ("angular.py", "Config(PartConfig)", "Config", ["Angular.Config", "PartConfig"]),
    "a name that does not exist": (
        "angular.py",
        "import PartConfig",
        "import Settings",
        ["angular", "arithmetic", "Settings"],
    ),
    "a setting of a wrong value": (
        "conf/attention/angular.yaml",
        "10.0",
        "-1",
        ["attention.score.scale=-1", "positive"],
    ),
    "a setting that is unknown": (
        "conf/attention/angular.yaml",
        "learned",
        "learn",
        ["attention.score.learn", "scale"],
    ),
    "a yaml that names code": (
        "conf/attention/angular.yaml",
        "name: angular\nscore",
        "_target_: os.getcwd\nscore",
        ["_target_"],
    ),
    "a yaml that is none": ("conf/attention/angular.yaml", "score:", "score: [", ["angular.yaml"]),
    "a task without a loss": ("answers.py", "def loss", "def cost", ["task 'answers'", "Answers", "loss"]),
    "a task without a title": ("answers.py", 'title = "Answers"', 'label = "Answers"', ["task 'answers'", "title"]),
    "a task without an output": ("answers.py", '"items_N": ', '"item_N": ', ["answers", "evaluate_batch", "items_N"]),
    "a metric that asks for more": (
        "answers.py",
        "correct_N: Tensor, ",
        "ranks_N, ",
        ["solved", "ranks_N", "correct_N"],
    ),
    "a metric of another name": ("answers.py", 'name = "solved"', 'name = "solve"', ["metric 'solved'", "'solve'"]),
    "a metric without a value": ("answers.py", "def value", "def figure", ["metric 'solved'", "value"]),
    "a key of the task left out": ("conf/task/answers.yaml", "shown: 50", "#", ["task.shown", "missing"]),
    "a dataset without a column": ("addition.py", '{"text":', '{"texts":', ["data=addition", "column text", "texts"]),
    "a dataset without a split": ("addition.py", '"val", "test")', '"val", "tests")', ["data=addition", "split test"]),
    "a dataset without load": ("addition.py", "def load", "def read", ["dataset 'addition'", "load"]),
    "a dataset of no kind": ("addition.py", 'kind = "text"', 'rows = "text"', ["dataset 'addition'", "kind"]),
    "a parameter without a rule": (
        "parallel.py",
        "def initial_",
        "def start_",
        ["ParallelBlock", "scale_D", "initial_"],
    ),
    "a model without a cost": ("parallel.py", "def forward_flops", "def flops", ["ParallelDecoder", "forward_flops"]),
    "a backbone without a model": (
        "parallel.py",
        "def decoder_only",
        "def decoder",
        ["backbone=parallel", "does not define decoder_only"],
    ),
    "a callback with an argument": (
        "parameter_norm.py",
        "    def on_",
        "    def __init__(self, every):\n        pass\n\n    def on_",
        ["parameter_norm", "every"],
    ),
    "a callback of another base": ("parameter_norm.py", "Norm(Callback)", "Norm", ["parameter_norm", "Callback"]),
    "a name that is taken": ("entry_points.txt", "angular =", "dot =", ["attncompare-arithmetic", "'dot'", "rename"]),
    "a name of a metric that is taken": (
        "entry_points.txt",
        "solved =",
        "bleu =",
        ["attncompare-arithmetic", "'bleu'"],
    ),
}
LATE = {"a task without an output", "a metric without a value"}
"""Mistakes that are seen once the model is asked: the record then says that the run failed."""

COMMANDS = """
import contextlib, importlib, io, json, os, sys
from attncompare.cli import main

answers = {}
for name, folder, arguments in json.load(sys.stdin):
    os.makedirs(folder + "/work")
    os.chdir(folder + "/work")
    sys.path.insert(0, folder)
    importlib.invalidate_caches()
    out, err = io.StringIO(), io.StringIO()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main(arguments)
    except Exception as error:
        code = repr(error)
    answers[name] = code, err.getvalue(), os.path.exists("runs")
    sys.path.remove(folder)
    for module in [one for one in sys.modules if one.startswith("attncompare_arithmetic")]:
        del sys.modules[module]
print(json.dumps(answers))
"""


@pytest.fixture(scope="module")
def answers(installed, tmp_path_factory):
    """By mistake: the exit code of training with it, what is said, and whether a run was begun; all in one process."""
    folder, asked = tmp_path_factory.mktemp("mistakes"), []
    for number, (name, (file, before, after, _)) in enumerate(MISTAKES.items()):
        copy = shutil.copytree(installed, folder / str(number))
        (path,) = copy.glob("*.dist-info/entry_points.txt" if file == "entry_points.txt" else f"attncompare_*/{file}")
        text = path.read_text()
        assert text.count(before) == 1, name
        path.write_text(text.replace(before, after))
        asked.append((name, str(copy), ["train", *SMALL, "attention=angular", "trainer.callbacks=[parameter_norm]"]))
    path = os.pathsep.join([str(folder / "0"), str(ROOT)])  # where Hydra finds the package's plugin, once for all
    done = subprocess.run(
        [sys.executable, "-c", COMMANDS],
        input=json.dumps(asked),
        env={**environment(folder), "PYTHONPATH": path, "ATTNCOMPARE_NATIVE": "0"},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_of_an_author_gets_one_line(mistake, answers):
    code, said, begun = answers[mistake]
    assert code in (1, 2), said or code
    line = said.splitlines()[-1]
    assert line.startswith("error: ")
    assert sum(line.startswith("error: ") for line in said.splitlines()) == 1
    assert all(word in line for word in MISTAKES[mistake][3]), line
    assert begun == (mistake in LATE)
