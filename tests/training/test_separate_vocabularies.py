"""A vocabulary for each language: trained, recorded, resumed, reproduced and shown, end to end."""

import json

import datasets
import pytest
import torch
from commands import SMOKE
from safetensors import safe_open
from training_runs import NO_TRACKING

from attncompare.data.module import DataModule
from attncompare.data.tokenizer import UNK, Tokenizer
from attncompare.errors import Refused
from attncompare.inference.trained import TrainedRun
from attncompare.tasks import build_task
from attncompare.training.run import resume, train

OWN = "data.tokenizer.joint=false"


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Pairs whose sides share no letter."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    for split, count in {"train": 40, "val": 6, "test": 6}.items():
        for language, letters in {"en": "abcdefgh", "de": "ПРСТУ"}.items():
            lines = (" ".join(letters[(i * k) % len(letters)] * (1 + i % 3) for k in range(1, 5)) for i in range(count))
            (tmp_path / f"{split}.{language}").write_text("".join(f"{line}\n" for line in lines))
    words = ("data.tokenizer.kind=word", "data.tokenizer.vocab_size=null", "data.batch_size=8")
    return ("data=pairs", f"data.path={tmp_path}", *words, OWN)


def prepared(config):
    data = DataModule(config)
    data.prepare()
    return data


def test_each_side_has_its_own_words(make_config, files):
    data = prepared(make_config(*files))
    sides = {"source": data.source_tokenizer, "target": data.tokenizer}
    labels = {side: set(one.labels(range(4, one.vocab_size))) for side, one in sides.items()}
    assert labels["source"] and labels["target"] and not labels["source"] & labels["target"]
    assert data.report["vocab_size"] == sides["target"].vocab_size
    assert data.report["source_vocab_size"] == sides["source"].vocab_size
    for batch in data.val_dataloader():
        for source, target, index in zip(*(part.tolist() for part in batch[:3]), strict=True):
            assert (sides["source"].decode(source), sides["target"].decode(target)) == data.pair("val", index)
    assert all(data.report[split][f"{side}_unknown_rate"] == 0 for split in ("train", "val", "test") for side in sides)


def test_what_is_unknown_is_counted_by_side(make_config, files, tmp_path):
    (tmp_path / "val.en").write_text("a z\n" * 6)
    (tmp_path / "val.de").write_text("П П П\n" * 6)
    data = prepared(make_config(*files))
    found = data.report["val"]
    assert (found["source_tokens"], found["target_tokens"]) == (18, 24)  # with EOS
    unknown = sum(int((batch.source_BS == UNK).sum()) for batch in data.val_dataloader())
    assert unknown == 6
    assert found["source_unknown_rate"] == pytest.approx(6 / 18)


def test_a_run_of_two_vocabularies_from_its_start_to_its_maps(make_config, files, cli):
    sizes = [one for one in SMOKE if one.startswith(("trainer", "backbone", "task"))]
    config = make_config(*sizes, *files, *NO_TRACKING, "trainer.max_steps=4", "trainer.validate_every=2")
    run = train(config)
    names = ("tokenizer.json", "source_tokenizer.json")
    target, source = (Tokenizer.parse((run.path / name).read_bytes(), name) for name in names)
    with safe_open(run.path / "checkpoints" / "best.safetensors", "pt") as weights:
        shapes = {name: weights.get_slice(name).get_shape()[0] for name in weights.keys() if "embedding" in name}  # noqa: SIM118
    assert shapes == {
        "embedding.tokens.weight": target.vocab_size,
        "source_embedding.tokens.weight": source.vocab_size,
    }
    assert set(names) <= set(json.loads((run.path / "manifest.json").read_text())["sha256"])

    maps = TrainedRun(run).attention("a bb c")
    cross = next(site for site in maps.sites if site.site == "cross")
    assert cross.keys == (*source.labels(source.encode("a bb c").ids), "<eos>")
    assert not set("".join(cross.queries)) & set("abc") - set("<bos>")

    assert cli("reproduce", run.path)[0] == 0
    assert resume(train(config, stop_after=3).path).summary["weights_sha256"] == run.summary["weights_sha256"]
    (run.path / "source_tokenizer.json").write_text("{}")
    with pytest.raises(Refused, match=r"source_tokenizer\.json"):
        TrainedRun(run)


def test_a_joint_run_has_one_file_and_one_embedding(finished_run):
    assert not (finished_run.path / "source_tokenizer.json").exists()
    task = TrainedRun(finished_run).task
    assert task.source_tokenizer is task.tokenizer
    assert [name for name, _ in task.model.named_parameters() if "embedding" in name] == ["embedding.tokens.weight"]


def test_the_source_s_embedding_shifts_no_other_initial_value(make_config, files):
    own = prepared(make_config(*files))
    joint = make_config(*[one for one in files if one != OWN])
    tasks = build_task(own.config, own.tokenizer, own.source_tokenizer), build_task(joint, own.tokenizer)
    with_source, without = (dict(task.model.named_parameters()) for task in tasks)
    assert with_source.keys() - without.keys() == {"source_embedding.tokens.weight"}
    assert all(torch.equal(with_source[name], value) for name, value in without.items())


def test_a_vocabulary_larger_than_a_side_gives_is_that_side_s_own_and_said(make_config, files):
    data = prepared(make_config(*files, "data.tokenizer.vocab_size=6000"))
    sizes = {"source": data.source_tokenizer.vocab_size, "target": data.tokenizer.vocab_size}
    for side, size in sizes.items():
        assert f"data.tokenizer.vocab_size=6000: the {side} side of the train split gives {size} tokens" in data.notes
