"""``conf/wandb_sweep.yaml``: every value composes, and the command that an agent makes of it trains a run."""

import itertools

import yaml
from commands import composed_config
from wandb.sdk.launch.sweeps.utils import create_sweep_command_args

from attncompare.config import CONF_DIR

SWEEP = yaml.safe_load((CONF_DIR / "wandb_sweep.yaml").read_text())
VALUES = {key: parameter["values"] for key, parameter in SWEEP["parameters"].items()}


def command_of(trial):
    """Return what W&B's agent starts for the values of one trial, as W&B itself fills in the command."""
    filled = create_sweep_command_args({"args": {key: {"value": value} for key, value in trial.items()}})
    words = [filled[word[2:-1]] if word.startswith("${") else [word] for word in SWEEP["command"]]
    return list(itertools.chain.from_iterable(words))


def test_every_value_composes(tmp_path):
    for key, values in VALUES.items():
        for value in values:
            *program, tracking, override = command_of({key: value})
            assert (program, tracking) == (["attncompare", "train"], "tracking=online")
            composed_config(tmp_path, [tracking, override])


def test_it_varies_the_five_variants_and_seeds_and_minimizes_a_loss_on_val():
    files = {file.stem for file in (CONF_DIR / "attention").glob("*.yaml")}
    assert {"additive", "dot", "scaled", "causal", "multihead"} <= set(VALUES["attention"]) <= files
    assert len(VALUES["seed"]) > 1
    assert SWEEP["metric"] == {"name": "val/loss", "goal": "minimize"}


def test_a_trial_is_one_run(cli, monkeypatch):
    monkeypatch.setenv("WANDB_SWEEP_ID", "abcdefgh")
    code, _, err = cli("train", "-m", "seed=1,2")
    assert code == 2 and "W&B's agent" in err and err.count("\n") == 1
