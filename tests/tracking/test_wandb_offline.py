"""W&B as a view of the record (C8): the offline run is read back with W&B's own tool."""

import json
import os

import pytest
from commands import SMOKE, attncompare, inspect

from attncompare.errors import RunFailed
from attncompare.tasks.base import Task
from attncompare.record import Run
from attncompare.training.run import train


def media(records, key):
    """Return what was shown under ``key`` and at which step: dicts with ``_type``, ``path`` and more."""
    found = []
    for row in records["history"]:
        parts = {
            name.removeprefix(f"{key}."): value for name, value in row["item"].items() if name.startswith(f"{key}.")
        }
        if parts:
            found.append({"step": row["item"].get("step"), **parts})
    return found


def file_of(run, shown):
    (folder,) = run.path.glob("wandb/offline-run-*")
    return folder / "files" / shown["path"]


@pytest.fixture(scope="module")
def records(finished_run):
    return inspect(finished_run)


def test_the_config_is_a_nested_dict(records, finished_run):
    (start,) = records["run"]
    config = {key: value for key, value in start["config"]["update"].items() if key != "_wandb"}
    assert config == finished_run.config.to_dict()


def test_name_job_type_and_tags(records, finished_run):
    (start,) = records["run"]
    assert start["display_name"] == finished_run.path.name
    assert start["job_type"] == "translation"
    assert start["project"] == "attncompare"
    assert set(start["tags"]) == {"multihead", "reverse", "tests"}
    assert "group" not in start


def test_the_metrics_are_those_of_the_record_against_the_training_step(records, finished_run):
    rows = [row["item"] for row in records["history"]]
    for metric in ("train/loss", "val/loss", "val/bleu", "val/token_accuracy"):
        shown = [(row["step"], row[metric]) for row in rows if metric in row]
        assert shown == [(row["step"], row[metric]) for row in finished_run.metrics() if metric in row]
        assert shown
    defined = {metric.get("name") or metric["glob_name"]: metric for metric in records["metric"]}
    assert defined["val/loss"]["step_metric"] == "step"
    assert any("train/" in name and metric["step_metric"] == "step" for name, metric in defined.items())


def test_each_metric_of_the_task_says_which_way_is_better(records):
    known = {metric.get("name"): metric.get("summary", {}) for metric in records["metric"]}
    lower = {"train/loss", "val/loss", "val/perplexity", "val/ter"}
    higher = {"val/bleu", "val/chrf", "val/exact_match", "val/token_accuracy"}
    assert {name for name, summary in known.items() if summary.get("min")} == lower
    assert {name for name, summary in known.items() if summary.get("max")} == higher  # bits per byte: of other tasks


def test_maps_are_images_at_every_validation(records, finished_run):
    validated = [row["step"] for row in finished_run.metrics() if "val/loss" in row]
    for site in ("encoder_self", "decoder_self", "cross"):
        images = media(records, f"maps/{site}/probe0")
        assert [image["step"] for image in images] == validated
        for image in images:
            assert image["_type"] == "image-file" and image["width"] > 100
            assert file_of(finished_run, image).read_bytes().startswith(b"\x89PNG")


def test_the_page_is_shown_as_it_is_in_the_record(records, finished_run):
    (shown,) = media(records, "attention")
    assert shown["_type"] == "html-file"
    page = file_of(finished_run, shown).read_text()
    assert page == (finished_run.path / "maps" / "index.html").read_text()
    assert "<link" not in page


def test_predictions_and_head_numbers_are_tables(records, finished_run):
    tables = {}
    for name in ("predictions", "heads"):
        (shown,) = media(records, name)
        assert shown["_type"] == "table-file"
        tables[name] = json.loads(file_of(finished_run, shown).read_text())
    rows = finished_run.predictions()
    assert tables["predictions"]["columns"] == list(rows[0])
    assert tables["predictions"]["data"] == [list(row.values()) for row in rows]
    assert len(tables["heads"]["data"]) == 4 * 3 * 2  # probes, sites, heads of the one layer


def test_the_summary_holds_the_final_figures(records, finished_run):
    summary = {key: value for part in records["summary"] for key, value in part["update"].items()}
    assert summary["state"] == "finished"
    assert summary["test/loss"] == finished_run.summary["test"]["loss"]
    assert summary["cost/parameters"] == finished_run.summary["cost"]["parameters"]
    assert (summary["best_step"], summary["steps"]) == (
        finished_run.summary["best_step"],
        finished_run.summary["steps"],
    )
    assert summary["signature/bleu"] == finished_run.summary["signatures"]["bleu"]
    val = [row["val/loss"] for row in finished_run.metrics() if "val/loss" in row]
    assert summary["val/loss"] == {"min": min(val), "last": val[-1]}


def test_it_is_finished(records):
    (end,) = records["exit"]
    assert end.get("exit_code", 0) == 0


def test_it_is_finished_after_a_failure_too_and_the_next_run_gets_its_own(make_config, monkeypatch):
    def bad_loss(self, batch):
        loss, tokens = good_loss(self, batch)
        return (loss * float("nan") if self.global_step == 1 else loss), tokens

    monkeypatch.setenv("WANDB_DATA_DIR", "/what/was/there/before")
    (task,) = [kind for kind in Task.__subclasses__() if kind.__name__ == "Translation"]
    good_loss = task.loss
    folders = []
    with monkeypatch.context() as broken:
        broken.setattr(task, "loss", bad_loss)
        with pytest.raises(RunFailed, match="step 1: the training loss is nan"):
            train(make_config(*SMOKE), on_folder=folders.append)
    assert os.environ["WANDB_DATA_DIR"] == "/what/was/there/before"
    failed = inspect(Run.open(folders[0]))
    assert [end["exit_code"] for end in failed["exit"]] == [1]
    assert Run.open(folders[0]).summary["wandb"]["missing"] is None

    second = train(make_config(*SMOKE, "seed=2"))
    following = inspect(second)
    assert following["exit"][0].get("exit_code", 0) == 0
    assert following["run"][0]["run_id"] != failed["run"][0]["run_id"]
    assert following["run"][0]["config"]["update"]["seed"] == 2


def test_nothing_is_written_outside_the_run(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    done = attncompare("train", *SMOKE, f"runs={tmp_path / 'runs'}", cwd=home)
    assert done.returncode == 0, done.stderr
    written = {str(file.relative_to(home)) for file in home.rglob("*") if file.is_file()}
    assert not [file for file in written if "wandb" in file.lower()], written


def test_disabled_writes_no_wandb_folder(make_config, monkeypatch):
    monkeypatch.delenv("WANDB_DATA_DIR", raising=False)
    run = train(make_config(*SMOKE, "tracking=disabled"))
    assert run.state == "finished"
    assert not (run.path / "wandb").exists()
    assert "WANDB_DATA_DIR" not in os.environ
