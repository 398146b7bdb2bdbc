"""A record that comes with the code: light, sealed, and still one that can be read and trained again."""

import pytest

from attncompare.errors import Refused
from attncompare.record import Run
from attncompare.record.reference import keep, keep_sweep
from attncompare.training.run import train


def test_a_kept_record_is_light_sealed_and_tells_the_same(finished_run, tmp_path):
    kept = keep(finished_run, tmp_path / "reference" / "small")
    assert {file.name for file in kept.path.iterdir()} == {
        *("config.yaml", "overrides.yaml", "environment.json", "metrics.csv", "summary.json", "predictions.jsonl"),
        *("losses.jsonl", "tokenizer.json", "manifest.json"),
    }
    assert (kept.config, kept.metrics()) == (finished_run.config, finished_run.metrics())
    assert (kept.predictions(), kept.environment()) == (finished_run.predictions(), finished_run.environment())
    assert kept.losses() == finished_run.losses() != []
    assert kept.summary == finished_run.summary and kept.maps() == []
    (kept.path / "metrics.csv").write_text("step,epoch\n")
    with pytest.raises(Refused, match="not what the finished run wrote"):
        Run.open(kept.path).metrics()


def test_the_runs_of_a_sweep_are_told_apart_by_task_variant_and_seed(finished_run, tmp_path):
    (kept,) = keep_sweep([finished_run], tmp_path / "reference")
    assert kept.path == tmp_path / "reference" / "translation-multihead-s1"
    with pytest.raises(Refused, match="is there already"):
        keep_sweep([finished_run, finished_run], tmp_path / "other")


def test_only_a_finished_run_is_kept_and_nothing_written_over(finished_run, make_config, tmp_path):
    (tmp_path / "there").mkdir()
    with pytest.raises(Refused, match="is there already"):
        keep(finished_run, tmp_path / "there")
    stopped = train(make_config("trainer=smoke", "data=reverse", "tracking=disabled"), stop_after=1)
    with pytest.raises(Refused, match="is interrupted, not finished"):
        keep(stopped, tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_texts_of_data_that_must_not_be_copied_stay_away(finished_run, tmp_path):
    kept = keep(finished_run, tmp_path / "without", texts=False)
    rows, whole = kept.predictions(), finished_run.predictions()
    assert [set(row) for row in rows] == [{"id", "prediction"}] * len(whole) != []
    assert [row["prediction"] for row in rows] == [row["prediction"] for row in whole]
