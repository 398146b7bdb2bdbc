"""One run from config to record: what it writes, when it validates and tests, and what its numbers depend on."""

import importlib.metadata
import json
import math

import pytest
import torch
from commands import SMOKE, composed_config
from pytorch_lightning import Callback
from training_runs import LANGUAGE_MODEL, NO_TRACKING

from attncompare import registry
from attncompare.data.kinds import Probe
from attncompare.data.module import DataModule
from attncompare.data.tokenizer import BOS, EOS
from attncompare.errors import Refused
from attncompare.inference.trained import load
from attncompare.maps import load_maps, probe_maps
from attncompare.maps.heads import NUMBERS, head_metrics
from attncompare.tasks.translation import Translation
from attncompare.training.run import make_trainer, train

FOUR_STEPS = (*SMOKE, "tracking=disabled", "trainer.max_steps=4", "trainer.validate_every=2")
CLOCK = ("train/tokens_per_second", "train/seconds")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return train(composed_config(tmp_path_factory.mktemp("trained") / "runs", FOUR_STEPS), FOUR_STEPS)


def numbers(run):
    rows = [{key: value for key, value in row.items() if key not in CLOCK} for row in run.metrics()]
    return rows, run.summary["val"], run.summary["test"], run.summary["training_state_sha256"], run.predictions()


def test_the_record_holds_every_file(finished_run):
    files = {path.name for path in finished_run.path.iterdir()}
    assert files == {
        *("config.yaml", "overrides.yaml", "environment.json", "metrics.csv", "summary.json", "predictions.jsonl"),
        *("maps", "checkpoints", "wandb", "run.log", "items.jsonl", "tokenizer.json", "manifest.json", "heads.csv"),
    }
    weights = {path.name for path in (finished_run.path / "checkpoints").iterdir()}
    assert weights == {"best.safetensors", "last.safetensors"}
    assert not list(finished_run.path.rglob("*.tmp"))


def test_the_environment_says_what_made_the_run(finished_run):
    environment = finished_run.environment()
    assert environment["packages"]["torch"] == importlib.metadata.version("torch")
    assert environment["threads"] == 1
    assert environment["data_fingerprint"] == finished_run.summary["data"]["fingerprint"]
    assert {"python", "cpu", "cores", "device", "platform", "git"} <= environment.keys()


def test_the_summary_holds_quality_and_cost(finished_run):
    summary = finished_run.summary
    assert summary["steps"] == summary["best_step"] == 2 and summary["ended_by"] == "max_steps"
    assert set(summary["val"]) == set(summary["test"])
    assert set(summary["val"]) - set(head_metrics(summary["val"])) == set(finished_run.config.task.metrics)
    assert all(summary["cost"][key] > 0 for key in ("parameters", "train_flops_per_token", "tokens_per_second"))
    assert math.exp(summary["val"]["loss"]) == pytest.approx(summary["val"]["perplexity"], rel=1e-12)
    assert summary["val"] == {name: finished_run.metrics()[-1][f"val/{name}"] for name in summary["val"]}


def test_metrics_have_a_row_for_every_logged_step_and_every_validation(trained):
    rows = trained.metrics()
    assert [row["step"] for row in rows if "train/loss" in row] == [1, 2, 3, 4]
    assert [row["step"] for row in rows if "val/loss" in row] == [2, 4]
    assert all(row["train/grad_norm"] > 0 for row in rows if "train/loss" in row)
    assert [row["epoch"] for row in rows if "train/loss" in row] == [0, 0, 1, 1]
    tokens = [row["train/tokens"] for row in rows]
    assert tokens == sorted(tokens) and tokens[0] > 0


def test_maps_of_every_site_layer_and_head_are_written_at_every_validation(trained):
    steps = []
    for file in trained.map_files():
        step, probes = load_maps(file)
        steps.append(step)
        assert [probe.probe for probe in probes] == [0, 1, 2, 3]
        for probe in probes:
            assert [site.site for site in probe.sites] == ["encoder_self", "decoder_self", "cross"]
            assert probe.sites[2].sure_TS is not None
        for site in ("encoder_self", "decoder_self", "cross"):
            assert file.with_name(f"{file.stem}-probe0-{site}.png").is_file()
    assert steps == [0, 2, 4]
    assert (trained.path / "maps" / "index.html").is_file()


def test_numbers_of_each_head_begin_before_training_and_their_means_stand_beside_the_metrics(trained):
    rows, validated = trained.heads(), [row for row in trained.metrics() if "val/loss" in row]
    assert list(dict.fromkeys(row["step"] for row in rows)) == [0, 2, 4] and [row["step"] for row in validated] == [
        2,
        4,
    ]
    sites = ("encoder_self", "decoder_self", "cross")
    keys = {key for row in rows for key in row if key != "step"}
    named = {f"heads/{site}/1.1/{name}" for site in sites for name in NUMBERS}  # one layer of one head
    assert keys == {key for key in named if not key.endswith("similarity") and ("cross" in key or "aer" not in key)}
    for step, row in ((row["step"], row) for row in validated):
        for key in keys:
            _, site, _, name = key.split("/")
            (value,) = [one[key] for one in rows if one["step"] == step and key in one]
            assert row[f"val/{site}_head_{name}"] == pytest.approx(value, rel=1e-12)
    assert set(head_metrics(trained.summary["test"])) == {
        f"{key.split('/')[1]}_head_{key.split('/')[3]}" for key in keys
    }


def test_own_sentences_are_followed_from_before_training_on(make_config, trained):
    own = ["abc wxyz => zyxw cba", "aü => üa"]
    run = train(make_config(*FOUR_STEPS, *NO_TRACKING, f"tracking.probes={json.dumps(own, ensure_ascii=False)}"))
    assert [load_maps(file)[0] for file in run.map_files()] == [0, 2, 4]
    for _, probes in map(load_maps, run.map_files()):
        assert [probe.text for probe in probes] == ["abc wxyz → zyxw cba", "aü → üa"]
        cross = probes[1].sites[2]
        assert cross.keys == ("a", "<unk>ü", "<eos>") and cross.queries == ("<bos>", "<unk>ü", "a")
    assert numbers(run) == numbers(trained) and run.heads() == trained.heads()
    assert run.config.hash() == trained.config.hash()


@pytest.mark.parametrize("own", ["abc", " => abc", "abc => ", "abc => " + "a" * 40])
def test_own_sentences_that_cannot_be_read_are_refused_before_anything_is_written(make_config, own, tmp_path):
    with pytest.raises(Refused, match=r"^tracking\.probes=.*\S$"):
        train(make_config(*FOUR_STEPS, *NO_TRACKING, f"tracking.probes={json.dumps([own])}", "task.max_length=20"))
    assert not list(tmp_path.rglob("config.yaml"))


def test_the_same_config_gives_the_same_bits_and_probes_change_none(trained, make_config):
    torch.rand(7)  # whatever was drawn before
    without_probes = train(make_config(*FOUR_STEPS, "tracking.probes=0"))
    assert numbers(without_probes) == numbers(trained)
    assert not (without_probes.path / "maps").exists()


def test_another_seed_gives_other_numbers(trained, make_config):
    other = train(make_config(*FOUR_STEPS, *NO_TRACKING, "seed=2"))
    assert other.summary["weights_sha256"] != trained.summary["weights_sha256"]


def test_probing_leaves_the_model_s_mode_and_the_generator_as_they_are(finished_run):
    task = load(finished_run.path).task
    probe = Probe([5, 6, EOS], [BOS, 6, 5, EOS], None, None)
    for training in (True, False):
        task.train(training)
        before = torch.get_rng_state()
        probe_maps(task, 0, probe)
        assert task.training == task.model.training == training
        assert torch.equal(torch.get_rng_state(), before)


def test_the_last_step_is_validated_also_between_two_validations_and_test_is_read_once(make_config, monkeypatch):
    read, evaluate_batch = [], Translation.evaluate_batch

    def evaluated(self, batch, split):
        read.append((self.global_step, split, *batch.index_B.tolist()))
        return evaluate_batch(self, batch, split)

    monkeypatch.setattr(Translation, "evaluate_batch", evaluated)
    loaders, test_dataloader = [], DataModule.test_dataloader
    monkeypatch.setattr(DataModule, "test_dataloader", lambda self: loaders.append(self) or test_dataloader(self))
    config = make_config(*SMOKE, *NO_TRACKING, "trainer.max_steps=3", "trainer.limit_batches=null")
    run = train(config)
    assert [row["step"] for row in run.metrics() if "val/loss" in row] == [2, 3]
    splits = [(step, split) for step, split, *_ in read]
    assert splits == [(2, "val")] * 3 + [(3, "val")] * 3 + [(3, "test")] * 3
    rows = [row for _, split, *items in read if split == "test" for row in items]
    assert rows == list(range(40)) and len(loaders) == 1
    assert [row["id"] for row in run.predictions()] == [row["id"] for row in run.items()] == rows


def test_rows_that_are_too_long_are_counted_in_the_record_and_the_log(make_config):
    run = train(make_config(*SMOKE, *NO_TRACKING, "task.max_length=8"))
    data = run.summary["data"]
    assert 0 < data["train"]["left_out"] < 300 and data["train"]["truncated"] == 0
    assert 0 < data["val"]["truncated"] <= 40 and data["val"]["left_out"] == 0
    log = (run.path / "run.log").read_text()
    assert f"train: left out {data['train']['left_out']} of 300 rows, over task.max_length=8" in log
    assert f"val: truncated {data['val']['truncated']} of 40 rows" in log


def test_a_recall_run_records_its_answers(make_config):
    rows = train(make_config(*LANGUAGE_MODEL, "trainer.limit_batches=null", "trainer.max_steps=2")).predictions()
    assert len(rows) == 20
    for row in rows:
        assert row["prompt"].split()[0].startswith("k")
        assert len(row["reference"].split()) == 4 and all(word in row["prompt"] for word in row["reference"].split())
        assert len(row["continuation"].split()) <= 4


class Counter(Callback):
    """A callback of another package."""

    steps = 0

    def on_train_batch_end(self, *_):
        Counter.steps += 1


def test_installed_callbacks_are_named_in_the_config(make_config, monkeypatch):
    entry = registry.EntryPoint("counter", f"{__name__}:Counter", "attncompare.callbacks")
    monkeypatch.setattr(registry, "_installed", lambda kind, _: [entry] if kind == "callbacks" else [])
    run = train(make_config(*SMOKE, *NO_TRACKING, "trainer.callbacks=[counter]"))
    assert Counter.steps == run.summary["steps"] == 2
    assert run.config.trainer.callbacks == ("counter",)


def test_several_processes_are_refused_where_no_command_can_be_run_again(make_config, monkeypatch):
    config = make_config(*SMOKE, *NO_TRACKING, "trainer.devices=2")
    monkeypatch.setattr("sys.ps1", "In : ", raising=False)  # as Python's prompt and notebooks have it
    with pytest.raises(Refused, match=r"trainer\.devices=2: .*attncompare train trainer\.devices=2") as refusal:
        train(config)
    assert "\n" not in str(refusal.value)
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    monkeypatch.delattr("sys.ps1")
    monkeypatch.setattr("sys.argv", [__file__])
    with pytest.raises(Refused, match=r"trainer.devices=2: valid here: 1 to 1.*trainer.accelerator=cpu"):
        train(make_config(*SMOKE, *NO_TRACKING, "trainer.devices=2", "trainer.accelerator=auto"))


def test_deterministic_algorithms_do_not_write_over_all_memory_first(make_config):
    make_trainer(make_config("trainer=cpu"), [], [])
    counted = torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU])
    with counted:
        torch.empty(1000)
    assert "aten::fill_" not in {event.key for event in counted.key_averages()}
