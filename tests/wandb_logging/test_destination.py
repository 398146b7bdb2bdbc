"""W&B's environment variables: what they fill, what counts before them, and that they are no part of a run."""

import shutil

import pytest
from commands import SMOKE, composed_config, inspect

from attncompare.errors import Refused
from attncompare.record import Run
from attncompare.training.run import resume, train
from attncompare.wandb_logging import log_run, make_wandb_logger
from attncompare.wandb_logging.destination import Destination

SET = {"PROJECT": "theirs", "ENTITY": "team", "RUN_GROUP": "group", "TAGS": "a, b", "NOTES": "a note"}
SHOWN = ("project", "entity", "run_group", "notes")


@pytest.fixture
def variables(monkeypatch):
    """Set W&B's variables."""
    return lambda **values: [monkeypatch.setenv(f"WANDB_{name}", str(value)) for name, value in values.items()]


def shown_in(folder):
    """What the one offline run in ``folder`` says of itself, in W&B's own words."""
    (start,) = inspect(folder)["run"]
    return {name: start.get(name) for name in SHOWN} | {"tags": set(start["tags"])}


def test_they_fill_what_nobody_sets_also_of_a_resumed_run_and_are_recorded(variables, make_config, monkeypatch):
    plain = make_config(*SMOKE, "tracking.probes=0")
    variables(**SET)
    config = make_config(*SMOKE, "tracking.probes=0")
    assert config.hash() == plain.hash() and config == plain
    stopped = train(config, stop_after=1)
    for name in SET:
        monkeypatch.delenv(f"WANDB_{name}")
    run = resume(stopped.path)
    assert shown_in(run) == {
        **{"project": "theirs", "entity": "team", "run_group": "group", "notes": "a note"},
        "tags": {"scaled", "reverse", "a", "b"},
    }
    kept = run.summary["wandb"]
    assert kept["mode"] == "offline" and kept["tags"] == ["a", "b"] and kept["folder"] is None
    assert {name: kept[name] for name in ("project", "entity", "group", "notes")} == {
        **{"project": "theirs", "entity": "team", "group": "group", "notes": "a note"}
    }


def test_what_the_command_line_sets_counts_before_them(variables, make_config):
    variables(**SET, MODE="disabled")
    asked = ("tracking.project=mine", "tracking.entity=me", "tags=[c]", "notes=mine", "tracking=offline")
    found = Destination.chosen(make_config(*SMOKE, *asked), "a sweep")
    assert found == Destination("offline", "mine", "me", "a sweep", ("c",), "mine", None)


@pytest.mark.parametrize("mode", ["disabled", "offline"])
def test_the_mode(variables, make_config, mode):
    variables(MODE=mode)
    run = train(make_config(*SMOKE, "tracking.probes=0"))
    assert (run.path / "wandb").exists() == (mode == "offline") and run.summary["wandb"]["mode"] == mode


def test_online_needs_a_login_and_an_unknown_mode_is_refused(variables, make_config, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    for mode, words in (("online", "no W&B login"), ("onlin", "WANDB_MODE=onlin: valid: online")):
        variables(MODE=mode)
        with pytest.raises(Refused, match=words):
            train(make_config(*SMOKE))
    assert not (tmp_path / "runs").exists()


def test_another_folder_keeps_what_other_runs_have_there(variables, make_config, finished_run, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "wandb" / "run-20260101_000000-other123").mkdir(parents=True)
    (elsewhere / "wandb" / "precious").write_text("precious")
    variables(DIR=elsewhere)
    record = Run.open(shutil.copytree(finished_run.path, tmp_path / "record", symlinks=True))
    shutil.rmtree(record.path / "wandb")
    for _ in range(2):  # the second time replaces the first
        assert log_run(record.path) == str(elsewhere / "wandb")
    names = {path.name.rpartition("-")[2] for path in (elsewhere / "wandb").glob("*run-*") if path.is_dir()}
    assert names >= {"other123", record.summary["wandb"]["id"]}
    assert len(list(elsewhere.glob(f"wandb/*-{record.summary['wandb']['id']}"))) == 1
    assert (elsewhere / "wandb" / "precious").read_text() == "precious"
    assert not (record.path / "wandb").exists() and not list(elsewhere.glob("wandb/tmp*"))
    config = composed_config(tmp_path / "runs", SMOKE)
    logger = make_wandb_logger(config, tmp_path / "run", "abcdefgh12345678", None)
    logger.finish("finished", {})
    assert logger.problem is None and list(elsewhere.glob("wandb/offline-run-*-abcdefgh12345678"))


def test_empty_variables_are_as_if_they_were_not_there(variables, make_config):
    variables(MODE="", PROJECT="", DIR="", TAGS="", NOTES="", RUN_GROUP="")
    run = train(make_config(*SMOKE, "tracking.probes=0"))
    assert run.summary["wandb"]["mode"] == "offline" and shown_in(run)["project"] == "attncompare"


@pytest.mark.parametrize(("name", "value"), [("PROJECT", "a/b"), ("ENTITY", "a:b"), ("TAGS", f"a,{'x' * 65}")])
def test_what_wandb_would_refuse_is_refused_before_training(variables, make_config, name, value):
    variables(**{name: value})
    with pytest.raises(Refused, match=f"WANDB_{name}"):
        Destination.chosen(make_config(*SMOKE), None)
