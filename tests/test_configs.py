"""Every file of conf/ composes, is documented and names no code; every experiment starts; what the config's hashes see."""

import itertools
import re
from pathlib import Path

import pytest
from commands import SMOKE
from hydra import compose, initialize_config_dir

from attncompare.config import CONF_DIR, PAIRS, TEXT, parse_composed
from attncompare.errors import Refused
from attncompare.training.run import train

FILES = sorted(CONF_DIR.rglob("*.yaml"))


def names(group):
    return sorted(file.stem for file in (CONF_DIR / group).glob("*.yaml"))


TASKS = names("task")
DATA = Path(__file__).parents[2] / "shared" / "data"
PATH = {"pairs": ["data.path=folder"], "text": ["data.path=folder"]}  # what a corpus cannot do without


def fits(task, data):
    return data in (PAIRS if task == "translation" else TEXT)


def hydra_config(*overrides, **options):
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        return compose("train", overrides=list(overrides), **options)


def composed(*overrides):
    return parse_composed(hydra_config(*overrides))


@pytest.mark.parametrize(("task", "data"), itertools.product(TASKS, names("data")))
def test_every_variant_composes_with_every_task_and_the_corpora_that_fit_it(task, data):
    overrides = [f"task={task}", f"data={data}", *PATH.get(data, [])]
    for variant in names("attention"):
        if fits(task, data):
            config = composed(*overrides, f"attention={variant}")
            assert (config.task.name, config.data.name, config.attention.name) == (task, data, variant)
        else:
            with pytest.raises(Refused, match=f"data={data} does not fit task={task}"):
                composed(*overrides, f"attention={variant}")


@pytest.mark.parametrize("group", sorted(path.name for path in CONF_DIR.iterdir() if path.is_dir()))
def test_every_file_of_a_group_composes(group):
    with_tasks = {"data", "task", "experiment"}  # their combinations are tested above and below
    for name in () if group in with_tasks else names(group):
        for task in TASKS:
            assert composed(f"task={task}", f"{group}={name}").task.name == task


def test_every_task_brings_a_corpus_that_fits_it():
    for task in TASKS:
        assert fits(task, composed(f"task={task}").data.name)


# What an experiment says of its length comes after trainer=smoke.
TWO_STEPS = ["trainer=smoke", "trainer.max_steps=2", "trainer.max_time=null", "trainer.validate_every=2"]


@pytest.mark.parametrize("experiment", names("experiment"))
def test_every_experiment_composes_whole_and_starts(experiment, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    started = {}
    for overrides in sweep(experiment):
        config = composed(*overrides)
        started.setdefault((config.task.name, config.data.name), overrides)
    for (_, corpus), overrides in started.items():  # one of each kind: variants are trained by other tests
        config = composed(*overrides, *at_hand(corpus), *TWO_STEPS, "trainer.threads=1", "tracking=disabled")
        assert train(config).state == "finished"


def at_hand(corpus):
    """Return the override by which a corpus is read from files instead of the network, where it would be fetched."""
    if corpus not in ("multi30k", "tinyshakespeare"):
        return []
    if not (DATA / corpus).is_dir():
        pytest.skip(f"no files of {corpus} in {DATA}")
    return [f"data.path={DATA / corpus}"]


def sweep(experiment):
    """Return the overrides of every run of an experiment: one, or for each case the product of its values."""
    sweeper = hydra_config(f"experiment={experiment}", return_hydra_config=True).hydra.sweeper
    runs = []
    for case in sweeper.cases or [""]:
        params = dict(sweeper.params or {}) | dict(override.split("=") for override in case.split())
        choices = [[f"{key}={value}" for value in str(values).split(",")] for key, values in params.items()]
        runs += [[f"experiment={experiment}", *choice] for choice in itertools.product(*choices)]
    return runs


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(CONF_DIR)))
def test_every_key_is_documented(file):
    assert file.read_text().startswith("# "), "a file begins with a comment that says what it is"
    assert keys_without_comment(file) == []


def test_a_key_without_a_comment_is_found(tmp_path):
    (tmp_path / "base.yaml").write_text("# About.\nname: x\na: 1  # what it is\nb: 2\n# what it is\nc: 3\nd:\n  e: 1\n")
    (tmp_path / "over.yaml").write_text("# About.\ndefaults:\n  - base\n\na: 2\nf: 1\n")
    assert keys_without_comment(tmp_path / "base.yaml") == ["b", "e"]
    assert keys_without_comment(tmp_path / "over.yaml") == ["f"]


def keys_without_comment(file):
    """Return the keys with a value but no comment: on their line, on the one above, or where what they override stands."""
    text = re.sub(r"^hydra:\n( .*\n|\n)*", "", file.read_text(), flags=re.MULTILINE)  # Hydra's own keys
    known = {"name", *(key for other in overridden(file) for key in documented_keys(other))}
    missing = []
    for above, line in itertools.pairwise(["", *text.splitlines()]):
        key = re.match(r" *(\w+): *[^ ]", line)  # a section without a value has keys of its own, which are looked at
        if key and key[1] not in known and "#" not in line and not above.lstrip().startswith("#"):
            missing.append(key[1])
    return missing


def overridden(file):
    """Return the files whose values ``file`` changes: those that it is based on; for an experiment, all the others."""
    if file.parent.name == "experiment":
        return [other for other in FILES if other.parent != file.parent]
    bases = re.findall(r"^  - (\w+)$", file.read_text(), re.MULTILINE)
    return [file.with_name(f"{base}.yaml") for base in bases if base != "_self_"]


def documented_keys(file):
    keys = re.findall(r"^ *(\w+):", file.read_text(), re.MULTILINE)
    inherited = {key for other in overridden(file) for key in documented_keys(other)}
    return inherited | set(keys) - set(keys_without_comment(file))


def test_no_config_names_code():
    for file in FILES:
        text = file.read_text()
        assert "_target_" not in text and "attncompare." not in text, file


@pytest.mark.parametrize(
    "override",
    ["name=x", "tags=[x]", "notes=x", "runs=elsewhere", "tracking=disabled", "tracking.probes=1", "tracking.project=x"],
)
def test_the_hash_does_not_see_what_only_names_or_shows(override):
    assert composed(override).hash() == composed().hash()


@pytest.mark.parametrize(
    "override",
    [
        "attention=dot",
        "attention.name=other",
        "attention.heads=2",
        "attention.dropout=0.1",
        "backbone.d_ff=8",
        "data.batch_size=8",
        "data.tokenizer.vocab_size=900",
        "optimizer.lr=1",
        "trainer.max_steps=3",
        "trainer.threads=1",
        "trainer.devices=2",
        "seed=7",
        "data_seed=7",
        "task.label_smoothing=0",
    ],
)
def test_the_hash_sees_what_decides_the_numbers(override):
    assert composed(override).hash() != composed().hash()


def test_same_model_whatever_it_is_called_and_however_its_head_width_is_spelled():
    identity = composed().model_identity()
    assert composed("attention.name=other", "tags=[x]").model_identity() == identity
    assert composed("attention=multihead", "attention.heads=1").model_identity() == identity
    width = composed().backbone.d_model
    assert composed(f"attention.head_dim={width}").model_identity() == identity
    assert composed(f"attention.head_dim={width - 1}").model_identity() != identity
    assert composed("attention=multihead").model_identity() != identity
    assert composed("attention=dot").model_identity() != identity
    assert composed("seed=2").model_identity() != identity


def test_causal_is_another_model_where_there_is_an_encoder_and_the_same_on_a_language_model():
    assert composed("attention=causal").model_identity() != composed().model_identity()
    language_model = "task=language_model"
    assert composed(language_model, "attention=causal").model_identity() == composed(language_model).model_identity()


def test_a_record_s_config_comes_back_as_it_was(finished_run):
    assert finished_run.config.hash() == composed(*SMOKE, "attention=multihead", "attention.heads=2").hash()
    assert finished_run.config.tags == ("tests",)


def test_the_config_cannot_be_changed_after_it_was_checked():
    with pytest.raises(ValueError, match="frozen"):
        composed().seed = 2


def test_conf_is_where_the_package_looks_for_it():
    assert Path(__file__).parents[1] / "conf" == CONF_DIR
