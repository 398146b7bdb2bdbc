"""Every file of conf/ composes, holds every key of the schema, is documented and names no code; every experiment starts."""

import itertools
import re
from pathlib import Path

import pytest
from commands import composed_config
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from attncompare import registry
from attncompare.config import CONF_DIR, Strict, parse_composed
from attncompare.data.files import OwnSplitsConfig
from attncompare.errors import Refused
from attncompare.training.run import train

FILES = sorted(CONF_DIR.rglob("*.yaml"))
GROUPS = sorted(path.name for path in CONF_DIR.iterdir() if path.is_dir())
DATA = Path(__file__).parents[3] / "shared" / "data"
OWN = [
    name for name in registry.names("datasets") if issubclass(registry.load("datasets", name).Config, OwnSplitsConfig)
]
LOCATION = {name: ["data.path=folder"] for name in OWN}  # where the files are has no default


def names(group):
    return sorted(file.stem for file in (CONF_DIR / group).glob("*.yaml"))


TASKS = names("task")


def fits(task, data):
    return registry.load("datasets", data).kind == registry.load("tasks", task).data_kind


def hydra_config(*overrides, **options):
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        return compose("train", overrides=list(overrides), **options)


@pytest.mark.parametrize(("task", "data"), itertools.product(TASKS, names("data")))
def test_every_dataset_composes_with_the_tasks_that_it_fits(task, data):
    overrides = [f"task={task}", f"data={data}", *LOCATION.get(data, [])]
    if fits(task, data):
        config = composed_config("runs", overrides)
        assert (config.task.name, config.data.name) == (task, data)
    else:
        with pytest.raises(Refused, match=f"data={data}.*task={task}"):
            composed_config("runs", overrides)


@pytest.mark.parametrize(
    "group", [group for group in GROUPS if group not in ("attention", "data", "experiment", "task")]
)
def test_every_file_of_a_group_composes(group):
    for name in names(group):
        assert composed_config("runs", ["task=translation", f"{group}={name}"]).task.name == "translation"


@pytest.mark.parametrize("backbone", names("backbone"))
def test_every_variant_composes_with_each_backbone_or_is_refused_as_it_needs_attention(backbone):
    part = registry.load("backbones", backbone)
    needs_attention = not part.without_attention
    able = [task for task in TASKS if getattr(part, registry.load("tasks", task).architecture)]
    for task in set(TASKS).difference(able):
        with pytest.raises(Refused, match=f"backbone={backbone} does not define"):
            composed_config("runs", [f"task={task}", f"backbone={backbone}"])
    for name, task in itertools.product(names("attention"), able):
        overrides = [f"task={task}", f"attention={name}", f"backbone={backbone}"]
        if needs_attention and hydra_config(*overrides).attention.score is None:
            with pytest.raises(Refused, match=f"attention.score=null.*{backbone}.*attention=none"):
                composed_config("runs", overrides)
        else:
            assert composed_config("runs", overrides).task.name == task


def test_every_task_brings_a_dataset_that_fits_it_and_every_part_has_a_file():
    for task in TASKS:
        assert fits(task, composed_config("runs", [f"task={task}"]).data.name)
    for kind, group in {"tasks": "task", "datasets": "data", "backbones": "backbone"}.items():
        assert names(group) == registry.names(kind)


@pytest.mark.parametrize("overrides", [[f"data={data}", *LOCATION.get(data, [])] for data in names("data")], ids=str)
def test_no_key_of_the_schema_is_missing_in_conf(overrides):
    task = next(task for task in TASKS if fits(task, overrides[0].removeprefix("data=")))
    composed = hydra_config(f"task={task}", *overrides)
    values = OmegaConf.to_container(composed, resolve=True)

    def check(section, values):
        assert values.keys() == type(section).model_fields.keys()
        for key, value in section:
            if isinstance(value, Strict) and isinstance(values[key], dict):
                check(value, values[key])

    check(parse_composed(composed), values)


# What an experiment says of its length comes after trainer=smoke.
TWO_STEPS = ["trainer=smoke", "trainer.max_steps=2", "trainer.max_time=null", "trainer.validate_every=2"]


@pytest.mark.parametrize("every", [False, pytest.param(True, marks=pytest.mark.long)], ids=["some", "every"])
@pytest.mark.parametrize("experiment", names("experiment"))
def test_the_runs_of_an_experiment_compose_and_differ(experiment, every):
    runs = runs_of(experiment)
    runs = runs if every or len(runs) < 4 else [runs[0], runs[len(runs) // 2], runs[-1]]
    assert len({composed_config("runs", overrides).hash() for overrides in runs}) == len(runs)


@pytest.mark.long
@pytest.mark.parametrize("experiment", names("experiment"))
def test_every_experiment_starts(experiment, tmp_path):
    started = {}
    for overrides in runs_of(experiment):
        config = composed_config("runs", overrides)
        started.setdefault((config.task.name, config.data.name), overrides)
    for (_, data), overrides in started.items():
        short = [*overrides, *local_files(data), *TWO_STEPS, "trainer.threads=1", "tracking=disabled"]
        assert train(composed_config(tmp_path, short)).state == "finished"


def local_files(data):
    """Return the override by which a dataset is read from files instead of the network, where it would be fetched."""
    if data not in ("multi30k", "tinyshakespeare"):
        return []
    if not (DATA / data).is_dir():
        pytest.skip(f"no files of {data} beside this checkout")
    return [f"data.path={DATA / data}"]


def runs_of(experiment):
    """Return the overrides of every run of an experiment: one, or for each case the product of its values."""
    sweeper = hydra_config(f"experiment={experiment}", return_hydra_config=True).hydra.sweeper
    runs = []
    for case in sweeper.cases or [""]:
        params = dict(sweeper.params or {}) | dict(override.split("=") for override in case.split())
        choices = [[f"{key}={value}" for value in str(values).split(",")] for key, values in params.items()]
        runs += [[f"experiment={experiment}", *choice] for choice in itertools.product(*choices)]
    return runs


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(CONF_DIR)))
def test_every_key_is_documented_and_no_file_names_code(file):
    text = file.read_text()
    assert text.startswith("# "), "a file begins with a comment that says what it is"
    assert keys_without_comment(file) == []
    assert "_target_" not in text and "attncompare." not in text.replace("attncompare.callbacks", "")


def test_a_key_without_a_comment_is_found(tmp_path):
    (tmp_path / "base.yaml").write_text("# About.\nname: x\na: 1  # what it is\nb: 2\n# what it is\nc: 3\nd:\n  e: 1\n")
    (tmp_path / "over.yaml").write_text("# About.\ndefaults:\n  - base\n\na: 2\nf: 1\n")
    assert keys_without_comment(tmp_path / "base.yaml") == ["b", "e"]
    assert keys_without_comment(tmp_path / "over.yaml") == ["f"]


def keys_without_comment(file):
    """Return the keys with a value but no comment: on their line, on the one above, or where what they override stands."""
    text = re.sub(r"^hydra:\n( .*\n|\n)*", "", file.read_text(), flags=re.MULTILINE)  # Hydra's own keys
    known = {"name", *(key for other in inherited(file) for key in documented_keys(other))}
    missing = []
    for above, line in itertools.pairwise(["", *text.splitlines()]):
        key = re.match(r" *(\w+): *[^ ]", line)  # a section without a value has keys of its own, which are looked at
        if key and key[1] not in known and "#" not in line and not above.lstrip().startswith("#"):
            missing.append(key[1])
    return missing


def inherited(file):
    """Return the files whose values ``file`` changes: those that it is based on; for an experiment, all others."""
    if file.parent.name == "experiment":
        return [other for other in FILES if other.parent != file.parent]
    bases = re.findall(r"^  - ([\w/]+)$", file.read_text(), re.MULTILINE)
    return [file.parent / f"{base}.yaml" for base in bases if base != "_self_"]


def documented_keys(file):
    keys = re.findall(r"^ *(\w+):", file.read_text(), re.MULTILINE)
    return {key for other in inherited(file) for key in documented_keys(other)} | set(keys) - set(
        keys_without_comment(file)
    )


def test_conf_is_where_the_package_looks_for_it():
    assert Path(__file__).parents[2] / "conf" == CONF_DIR
