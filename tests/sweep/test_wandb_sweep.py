"""``conf/wandb_sweep.yaml``: every value composes, and the command that an agent makes of it trains a run."""

import itertools

import pytest
import yaml
from commands import composed_config
from wandb.sdk.launch.sweeps.utils import create_sweep_command_args

from attncompare.config import CONF_DIR
from attncompare.text import METRICS

SWEEP = yaml.safe_load((CONF_DIR / "wandb_sweep.yaml").read_text())
VALUES = {key: parameter["values"] for key, parameter in SWEEP["parameters"].items()}


def command_of(trial):
    """Return what W&B's agent starts for the values of one trial, as W&B itself fills in the command."""
    filled = create_sweep_command_args({"args": {key: {"value": value} for key, value in trial.items()}})
    return list(
        itertools.chain.from_iterable(
            filled[word[2:-1]] if word.startswith("${") else [word] for word in SWEEP["command"]
        )
    )


@pytest.mark.parametrize("key", VALUES)
def test_every_value_composes(key, tmp_path):
    for value in VALUES[key]:
        *program, tracking, override = command_of({key: value})
        assert (program, tracking) == (["attncompare", "train"], "tracking=online")
        composed_config(tmp_path, [tracking, override])


def test_it_minimizes_what_runs_log_and_what_they_are_selected_by():
    split, name = SWEEP["metric"]["name"].split("/")
    assert split == "val" and not METRICS[name].higher_is_better
    assert SWEEP["metric"]["goal"] == "minimize"


def test_it_sweeps_the_variants_with_several_seeds():
    assert set(VALUES["attention"]) == {file.stem for file in (CONF_DIR / "attention").glob("*.yaml")}
    assert len(VALUES["seed"]) > 1


def test_a_trial_is_one_run(cli, monkeypatch):
    monkeypatch.setenv("WANDB_SWEEP_ID", "abcdefgh")
    code, _, err = cli("train", "-m", "seed=1,2")
    assert code == 2 and err.startswith("error: W&B's agent trains one run at a time")
