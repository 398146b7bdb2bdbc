"""One run from config to record: what it writes, that it repeats, and how it ends when it does not end well."""

import importlib.metadata
import math
from pathlib import Path

import pytest
import torch
from commands import ENDLESS, SMOKE, Started, composed_config, inspect
from safetensors.torch import load_file

from attncompare.training import session
from attncompare.data.module import DataModule, Probe
from attncompare.data.tokenizer import BOS, EOS
from attncompare.errors import RunFailed
from attncompare.reproduce import MEASURED_BY_CLOCK
from attncompare.tasks.translation import Translation
from attncompare.maps.maps import load_maps
from attncompare.maps.probing import probe_maps
from attncompare.record import Run, find_runs
from attncompare.training.run import train
from attncompare.inference.trained import load

FOUR_STEPS = (*SMOKE, "tracking=disabled", "trainer.max_steps=4", "trainer.validate_every=2")
LANGUAGE_MODEL = (
    *("trainer=smoke", "trainer.threads=1", "tracking=disabled", "task=language_model", "data=recall"),
    *("data.train_size=100", "data.val_size=20", "data.test_size=20", "data.length=24", "backbone.d_model=16"),
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return train(composed_config(tmp_path_factory.mktemp("trained") / "runs", FOUR_STEPS), FOUR_STEPS)


def numbers(run):
    rows = [{key: value for key, value in row.items() if key not in MEASURED_BY_CLOCK} for row in run.metrics()]
    return rows, run.summary["val"], run.summary["test"], run.summary["weights_sha256"], run.predictions()


def test_the_record_holds_every_file(finished_run):
    files = {path.name for path in finished_run.path.iterdir()}
    assert files == {
        *("config.yaml", "overrides.yaml", "environment.json", "metrics.csv", "summary.json", "predictions.jsonl"),
        *("maps", "checkpoints", "wandb", "run.log", "losses.jsonl", "tokenizer.json", "manifest.json"),
    }
    assert {path.name for path in (finished_run.path / "checkpoints").iterdir()} == {
        "best.safetensors",
        "last.safetensors",
    }
    assert not list(finished_run.path.rglob("*.tmp"))


def test_the_environment_says_what_made_the_run(finished_run):
    environment = finished_run.environment()
    assert environment["packages"]["torch"] == importlib.metadata.version("torch")
    assert environment["threads"] == 1
    assert environment["data_fingerprint"] == finished_run.summary["data"]["fingerprint"]
    assert {"python", "cpu", "cores", "device", "platform", "git"} <= environment.keys()


def test_the_summary_holds_quality_and_cost(finished_run):
    summary = finished_run.summary
    assert summary["steps"] == summary["best_step"] == 2
    assert summary["val"].keys() == summary["test"].keys() >= {"loss", "bleu", "chrf", "exact_match", "token_accuracy"}
    assert "tok:13a" in summary["signatures"]["bleu"]
    assert all(summary["cost"][key] > 0 for key in ("parameters", "train_flops_per_token", "tokens_per_second"))
    assert math.exp(summary["val"]["loss"]) == summary["val"]["perplexity"]


def test_metrics_have_a_row_for_every_logged_step_and_every_validation(trained):
    rows = trained.metrics()
    assert [row["step"] for row in rows if "train/loss" in row] == [1, 2, 3, 4]
    assert [row["step"] for row in rows if "val/loss" in row] == [2, 4]
    assert all(row["train/grad_norm"] > 0 for row in rows if "train/loss" in row)


def test_maps_of_every_site_layer_and_head_are_kept_at_every_validation(trained):
    steps = []
    for file in trained.map_files():
        step, probes = load_maps(file)
        steps.append(step)
        assert [probe.probe for probe in probes] == [0, 1, 2, 3]
        for probe in probes:
            assert [site.site for site in probe.sites] == ["encoder_self", "decoder_self", "cross"]
            assert all((site.layers, site.heads) == (1, 1) for site in probe.sites)
            assert probe.sites[2].sure_TS is not None
        for site in ("encoder_self", "decoder_self", "cross"):
            assert file.with_name(f"{file.stem}-probe0-{site}.png").is_file()
    assert steps == [2, 4]
    assert (trained.path / "maps" / "index.html").is_file()


def test_the_same_config_gives_the_same_bits(trained, make_config):
    torch.rand(7)  # whatever was drawn before
    assert numbers(train(make_config(*FOUR_STEPS))) == numbers(trained)


def test_another_seed_gives_other_numbers(trained, make_config):
    assert numbers(train(make_config(*FOUR_STEPS, "seed=2")))[3] != numbers(trained)[3]


def test_probes_leave_training_as_it_is(trained, make_config):
    without = train(make_config(*FOUR_STEPS, "tracking.probes=0"))
    assert numbers(without) == numbers(trained)
    assert not (without.path / "maps").exists()


def test_probing_leaves_the_model_s_mode_and_the_generator_as_they_are(finished_run):
    task = load(finished_run.path).task
    probe = Probe([5, 6, EOS], [BOS, 6, 5, EOS], None, None)
    for training in (True, False):
        task.train(training)
        before = torch.get_rng_state()
        probe_maps(task, 0, probe)
        assert task.training == task.model.training == training
        assert torch.equal(torch.get_rng_state(), before)


def test_the_last_step_is_validated_even_between_two_validations(make_config):
    run = train(make_config(*SMOKE, "tracking=disabled", "trainer.max_steps=3", "trainer.validate_every=2"))
    assert [row["step"] for row in run.metrics() if "val/loss" in row] == [2, 3]
    assert run.summary["steps"] == 3


def test_rows_that_are_too_long_are_counted_in_the_record_and_the_log(make_config):
    run = train(make_config(*SMOKE, "tracking=disabled", "task.max_length=8"))
    data = run.summary["data"]
    assert 0 < data["train"]["left_out"] < 300 and data["train"]["truncated"] == 0
    assert 0 < data["val"]["truncated"] <= 40 and data["val"]["left_out"] == 0
    log = (run.path / "run.log").read_text()
    assert f"train: left out {data['train']['left_out']} of 300 rows, over task.max_length=8" in log
    assert f"val: truncated {data['val']['truncated']} of 40 rows" in log


def test_the_log_holds_no_noise(trained):
    lines = (trained.path / "run.log").read_text().splitlines()
    lines = [line for line in lines if "recorded diff" not in line]  # that depends on who is changing the code now
    assert [line.partition("attncompare: ")[2][:7] for line in lines] == ["step 2:", "step 4:"], lines


def test_a_recall_run_records_its_answers_and_a_text_run_continues_prompts(make_config):
    rows = train(make_config(*LANGUAGE_MODEL)).predictions()
    assert len(rows) == 20
    for row in rows:
        assert row["prompt"].split()[0].startswith("k")
        assert len(row["reference"].split()) == 4 and all(word in row["prompt"] for word in row["reference"].split())
        assert len(row["continuation"].split()) <= 4


def nan_from_step(step, monkeypatch):
    """Let the training loss be NaN from ``step`` on."""
    loss = Translation.loss

    def spoilt(self, batch):
        value, tokens = loss(self, batch)
        return (value * math.nan if self.step >= step else value), tokens

    monkeypatch.setattr(Translation, "loss", spoilt)


def test_a_loss_that_is_no_number_stops_the_run_with_step_and_last_good_checkpoint(make_config, monkeypatch):
    nan_from_step(3, monkeypatch)
    folders = []
    with pytest.raises(RunFailed) as failed:
        train(make_config(*FOUR_STEPS), on_folder=folders.append)
    run = Run.open(folders[0])
    assert run.state == "failed"
    message = run.summary["message"]
    assert "step 3: the training loss is nan" in message
    assert "the last good weights are those of step 2, checkpoints/last.safetensors" in message
    assert str(failed.value) == f"{run.path}: {message}"
    assert all(tensor.isfinite().all() for tensor in load_file(run.path / "checkpoints" / "last.safetensors").values())


def test_a_run_that_diverges_for_real_saves_no_such_weights(cli):
    code, out, err = cli(
        "train", *FOUR_STEPS, "optimizer.lr=1e30", "optimizer.clip_norm=null", "optimizer.warmup_steps=0"
    )
    assert (code, out) == (1, "")
    assert err.splitlines()[-1].startswith("error: runs/") and "failed after" in err
    (run,) = find_runs(["runs"])
    assert run.state == "failed"
    assert "no weights were written before" in run.summary["message"]
    assert not (run.path / "checkpoints").exists()


def test_a_validation_loss_that_is_no_number_leaves_the_weights_before_it(make_config, monkeypatch):
    metrics = Translation.metrics

    def spoilt(self, data, split):
        return {**metrics(self, data, split), **({"loss": math.nan} if self.step == 4 else {})}

    monkeypatch.setattr(Translation, "metrics", spoilt)
    folders, weights = [], []
    with pytest.raises(
        RunFailed, match="step 4: the validation loss is nan; the last good weights are those of step 2"
    ):
        train(
            make_config(*FOUR_STEPS),
            on_folder=folders.append,
            on_progress=lambda progress: weights.extend(
                file.read_bytes()
                for folder in folders
                for file in folder.glob("checkpoints/last.*")
                if progress.step == 3
            ),
        )
    assert weights == [(folders[0] / "checkpoints" / "last.safetensors").read_bytes()]


def test_any_other_exception_ends_the_record_too_and_its_trace_is_in_the_log(make_config, monkeypatch):
    def broken(self, data):
        raise RuntimeError("the disk is on fire")

    monkeypatch.setattr(Translation, "predictions", broken)
    folders = []
    with pytest.raises(RuntimeError):
        train(make_config(*FOUR_STEPS), on_folder=folders.append)
    run = Run.open(folders[0])
    assert (run.state, run.summary["message"]) == ("failed", "RuntimeError: the disk is on fire")
    assert "Traceback" in (run.path / "run.log").read_text()


def test_ctrl_c_before_anything_was_written_leaves_nothing(cli, monkeypatch):
    def interrupted(self):
        raise KeyboardInterrupt

    monkeypatch.setattr(DataModule, "prepare", interrupted)
    code, _, err = cli("train", *SMOKE)
    assert code == 130 and err.endswith("interrupted\n")
    assert not Path("runs").exists()


def test_ctrl_c_while_the_record_is_opened_closes_it(cli, monkeypatch):
    def interrupted(fingerprint):
        raise KeyboardInterrupt

    monkeypatch.setattr(session, "environment", interrupted)
    assert cli("train", *SMOKE)[0] == 130
    (run,) = find_runs(["runs"])
    assert run.state == "interrupted"


def test_ctrl_c_while_training_closes_record_and_wandb_run(tmp_path):
    started = Started("train", *ENDLESS, "trainer.validate_every=20", "trainer.limit_batches=1", cwd=tmp_path)
    started.wait_for("training step")
    started.interrupt()
    code, out, err = started.end()
    assert (code, out) == (130, "")
    assert "Traceback" not in err and err.endswith("interrupted\n")
    (run,) = find_runs([tmp_path])
    assert f"\ngo on with: attncompare train --resume {run.path.relative_to(tmp_path)}\n" in err
    assert run.state == "interrupted"
    assert run.summary["message"].startswith("interrupted at step ")
    assert run.metrics()[0]["step"] == 1
    assert [end["exit_code"] for end in inspect(run)["exit"]] == [1]
