"""What W&B is shown of a run: the offline run is read back with W&B's own tool."""

import json
import shutil

import pytest
from commands import SMOKE, attncompare, inspect
from wandb_server import log_out

from attncompare.errors import Refused, RunFailed
from attncompare.record import Run
from attncompare.wandb_logging import log_run

CURVES = ("step", "train/", "val/")
PAGES = ("attention", "predictions", "heads")


def shown_media(records, key):
    """What was logged under ``key``, with its step."""
    found = []
    for row in (row["item"] for row in records["history"]):
        parts = {name.removeprefix(f"{key}."): value for name, value in row.items() if name.startswith(f"{key}.")}
        found += [{"step": row.get("step"), **parts}] if parts else []
    return found


def summary_of(records):
    return {key: value for update in records["summary"] for key, value in update["update"].items()}


def curves_of(records):
    rows = [{key: v for key, v in row["item"].items() if key.startswith(CURVES)} for row in records["history"]]
    return [row for row in rows if row.keys() - {"step"}]


def heads_shown(records):
    rows = [row["item"] for row in records["history"]]
    return {(row["step"], key): value for row in rows for key, value in row.items() if key.startswith("heads/")}


def heads_of_record(run):
    return {(row["step"], key): value for row in run.heads() for key, value in row.items() if key != "step"}


@pytest.fixture(scope="module")
def records(finished_run):
    return inspect(finished_run)


def test_config_names_and_tags(records, finished_run):
    (start,) = records["run"]
    assert {key: value for key, value in start["config"]["update"].items() if key != "_wandb"} == (
        finished_run.config.to_dict()
    )
    assert (start["display_name"], start["job_type"]) == (finished_run.path.name, "translation")
    assert start["project"] == "attncompare" and "group" not in start
    assert set(start["tags"]) == {"multihead heads=2", "reverse", "tests"}


def test_the_curves_are_those_of_the_record_against_the_training_step_and_say_which_way_is_better(
    records, finished_run
):
    keys = ("step", "train/loss", "val/loss", "val/bleu", "val/token_accuracy")
    shown, kept = (
        [[row.get(key) for key in keys] for row in rows] for rows in (curves_of(records), finished_run.metrics())
    )
    assert shown == kept and len(shown) > 1
    defined = {metric.get("name") or metric["glob_name"]: metric for metric in records["metric"]}
    assert {defined[name]["step_metric"] for name in ("train/*", "val/*", "maps/*", "heads/*", "val/loss")} == {"step"}
    lower, higher = (
        {name for name in defined if defined[name].get("summary", {}).get(best)} for best in ("min", "max")
    )
    assert lower == {"train/loss", "val/loss", "val/perplexity", "val/ter"}
    assert higher == {"val/bleu", "val/chrf", "val/exact_match", "val/token_accuracy"}


def test_the_numbers_of_each_head_are_curves_from_before_training_on(records, finished_run):
    kept = heads_of_record(finished_run)
    assert heads_shown(records) == kept and min(step for step, _ in kept) == 0
    assert {"heads/cross/1.2/entropy", "heads/encoder_self/1.1/similarity"} <= {key for _, key in kept}


def test_pictures_page_predictions_and_numbers_of_the_heads(records, finished_run):
    validated = {row["step"] for row in finished_run.metrics() if "val/loss" in row}
    for site in ("encoder_self", "decoder_self", "cross"):
        pictures = shown_media(records, f"maps/{site}/probe0")
        assert validated <= {picture["step"] for picture in pictures}
        assert all(one["_type"] == "images/separated" and one["width"] > 100 for one in pictures)
    (folder,) = finished_run.path.glob("wandb/offline-run-*")
    page, predictions, heads = (
        (folder / "files" / shown_media(records, name)[0]["path"]).read_text() for name in PAGES
    )
    assert page == (finished_run.path / "maps" / "index.html").read_text()
    rows, table = finished_run.predictions(), json.loads(predictions)
    assert table["columns"] == list(rows[0]) and table["data"] == [list(row.values()) for row in rows]
    assert len(json.loads(heads)["data"]) == 4 * 3 * 2  # probes, sites, heads of the one layer


def test_the_summary_holds_the_final_figures_and_the_run_has_ended(records, finished_run):
    summary, record = summary_of(records), finished_run.summary
    assert (summary["state"], summary["best_step"]) == ("finished", record["best_step"])
    assert summary["test/loss"] == record["test"]["loss"]
    assert summary["cost/parameters"] == record["cost"]["parameters"]
    assert summary["signature/bleu"] == record["signatures"]["bleu"]
    val = [row["val/loss"] for row in finished_run.metrics() if "val/loss" in row]
    assert summary["val/loss"] == {"min": min(val), "last": val[-1]}
    (end,) = records["exit"]
    assert end.get("exit_code", 0) == 0


def test_a_record_is_logged_again_as_it_was_while_it_was_made(records, finished_run, tmp_path):
    folder = shutil.copytree(finished_run.path, tmp_path / finished_run.path.name, symlinks=True)
    before = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file() and "wandb" not in file.parts}
    log_run(folder)
    again = inspect(Run.open(folder))

    def shown(source):
        media = [one for key in ("maps/cross/probe0", *PAGES) for one in shown_media(source, key)]
        figures = {key: summary_of(source)[key] for key in ("state", "test/bleu", "steps", "val/loss")}
        named = [
            {key: value for key, value in one.items() if "path" not in key and key != "filenames"} for one in media
        ]
        return curves_of(source), figures, named, source["run"][0]["run_id"]

    assert shown(again) == shown(records)
    assert heads_shown(again) == heads_shown(records)
    assert {file: file.read_bytes() for file in before} == before


def test_an_interrupted_record_is_logged_as_failed(finished_run, tmp_path):
    folder = shutil.copytree(finished_run.path, tmp_path / "run", symlinks=True)
    summary = json.loads((folder / "summary.json").read_text())
    (folder / "summary.json").write_text(json.dumps({**summary, "state": "interrupted"}))
    (folder / "manifest.json").unlink()
    log_run(folder)
    records = inspect(Run.open(folder))
    assert records["exit"][0]["exit_code"] == 1 and summary_of(records)["state"] == "interrupted"
    assert not shown_media(records, "predictions")


def test_without_a_login_a_record_cannot_be_sent(finished_run, tmp_path, monkeypatch):
    log_out(monkeypatch, tmp_path)
    with pytest.raises(Refused, match="wandb login"):
        log_run(finished_run.path, "online")


@pytest.mark.parametrize("whole", [False, True])
def test_links_in_the_folder_of_wandb_lead_nobody_out(finished_run, tmp_path, whole):
    folder, outside = shutil.copytree(finished_run.path, tmp_path / "run", symlinks=True), tmp_path / "outside"
    (outside / "tmp").mkdir(parents=True)
    (outside / "tmp" / "precious").write_text("precious")
    own = folder / "wandb"
    if whole:
        shutil.rmtree(own)
        own.symlink_to(outside)
        with pytest.raises(RunFailed, match="symbolic link"):
            log_run(folder)
    else:
        (next(own.glob("offline-run-*")) / "more").symlink_to("/")
        for name in ("latest-run", "artifacts", "tmp", "debug.log"):
            (own / name).is_symlink() or not (own / name).is_dir() or shutil.rmtree(own / name)
            (own / name).unlink(missing_ok=True)
            (own / name).symlink_to(outside / "tmp" / "precious" if name.endswith(".log") else outside / "tmp")
        log_run(folder)
        assert inspect(Run.open(folder))["exit"]
        assert all(path.resolve().is_relative_to(folder.resolve()) for path in own.rglob("*") if path.is_symlink())
    assert [file.name for file in outside.rglob("*")] == ["tmp", "precious"]
    assert (outside / "tmp" / "precious").read_text() == "precious"


@pytest.mark.long
def test_a_training_writes_nothing_of_wandb_outside_its_folder(tmp_path, monkeypatch):
    home, temporary = tmp_path / "home", tmp_path / "temporary"
    home.mkdir()
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    done = attncompare("train", *SMOKE, f"runs={tmp_path / 'runs'}", cwd=home)
    assert done.returncode == 0, done.stderr
    (run,) = (file.parent for file in (tmp_path / "runs").rglob("summary.json"))
    assert inspect(Run.open(run))["exit"] and not (run / "wandb" / "tmp").exists()
    written = [file.relative_to(tmp_path) for folder in (home, temporary) for file in folder.rglob("*")]
    assert [file for file in written if "wandb" in str(file)] == []
