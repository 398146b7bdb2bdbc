"""A vocabulary for each language: trained, recorded, reproduced and looked at, end to end."""

import dataclasses
import json

import datasets
import pytest
import torch
from commands import SMOKE
from safetensors import safe_open

from attncompare.data.module import DataModule
from attncompare.data.tokenizer import UNK, Tokenizer
from attncompare.training.demands import NOTHING_SEEN, Seen, model_bytes, sizes
from attncompare.errors import Refused
from attncompare.model import EncoderDecoder, ModelSize, initialize
from attncompare.tasks import build_task
from attncompare.record.reference import keep
from attncompare.training.run import resume, train
from attncompare.inference.trained import TrainedRun

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


def smoke(files):
    return [*SMOKE[:2], *[one for one in SMOKE if one.startswith(("backbone", "task"))], *files]


def test_each_side_has_its_own_words(make_config, files):
    data = DataModule(make_config(*files))
    data.prepare()
    sides = {"source": data.source_tokenizer, "target": data.tokenizer}
    labels = {side: set(one.labels(range(4, one.vocab_size))) for side, one in sides.items()}
    assert labels["source"] and labels["target"] and not labels["source"] & labels["target"]
    assert data.report["vocab_size"] == sides["target"].vocab_size
    assert data.report["source_vocab_size"] == sides["source"].vocab_size
    for batch in data.val_dataloader():
        for source, target, index in zip(*(part.tolist() for part in batch), strict=True):
            assert (sides["source"].decode(source), sides["target"].decode(target)) == data.pairs("val")[index]
    assert all(data.report[split][f"{side}_unknown_rate"] == 0 for split in ("train", "val", "test") for side in sides)


def test_what_is_unknown_is_counted_by_side(make_config, files, tmp_path):
    (tmp_path / "val.en").write_text("a z\n" * 6)
    (tmp_path / "val.de").write_text("П П П\n" * 6)
    data = DataModule(make_config(*files))
    data.prepare()
    found = data.report["val"]
    assert (found["source_tokens"], found["target_tokens"]) == (18, 24)  # with EOS
    unknown = sum(int((batch.source_BS == UNK).sum()) for batch in data.val_dataloader())
    assert unknown == 6
    assert found["source_unknown_rate"] == pytest.approx(6 / 18)
    targets = sum(int((batch.target_BT == UNK).sum()) for batch in data.val_dataloader())
    assert found["target_unknown_rate"] == pytest.approx(targets / 24)
    assert found["unknown_rate"] == pytest.approx((6 + targets) / 42)


def test_a_run_of_two_vocabularies_from_its_start_to_its_maps(make_config, files, tmp_path, cli):
    config = make_config(*smoke(files), "trainer.max_steps=4", "trainer.validate_every=2")
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
    assert maps.text.startswith("a bb c → ")
    kept = keep(run, tmp_path / "kept")
    assert (kept.path / "source_tokenizer.json").exists()

    code, out, _ = cli("reproduce", run.path)
    assert code == 0, out
    code, out, _ = cli("attend", run.path, "a bb c")
    assert code == 0 and "bb" in out

    stopped = train(config, stop_after=3)
    assert resume(stopped.path).summary["weights_sha256"] == run.summary["weights_sha256"]
    (run.path / "source_tokenizer.json").write_text("{}")
    with pytest.raises(Refused, match=r"source_tokenizer\.json"):
        TrainedRun(run)


def test_a_joint_run_has_one_file_and_one_embedding(finished_run):
    assert not (finished_run.path / "source_tokenizer.json").exists()
    task = TrainedRun(finished_run).task
    assert task.source_tokenizer is task.tokenizer
    assert [name for name, _ in task.model.named_parameters() if "embedding" in name] == ["embedding.tokens.weight"]


def test_the_source_s_embedding_shifts_no_other_initial_value(make_config, files):
    own = DataModule(make_config(*files))
    own.prepare()
    models = [build_task(own.config, own.tokenizer, own.source_tokenizer).model]
    joint = make_config(*[one for one in files if one != OWN])
    models.append(build_task(joint, own.tokenizer).model)
    mine, others = (dict(model.named_parameters()) for model in models)
    assert mine.keys() - others.keys() == {"source_embedding.tokens.weight"}
    assert all(torch.equal(mine[name], value) for name, value in others.items())


def test_a_vocabulary_larger_than_one_side_can_give_is_refused_by_that_side(make_config, files):
    with pytest.raises(Refused, match=r"vocab_size=60 is more than the source side of the train split gives"):
        DataModule(make_config(*files, "data.tokenizer.vocab_size=60")).prepare()


def test_what_a_run_takes_counts_both_embeddings(make_config, files):
    config = make_config(*files)
    seen = dataclasses.replace(NOTHING_SEEN, vocabulary=1000, source_vocabulary=3000)
    values = sizes(config, seen)
    assert (values["vocabulary"], values["source vocabulary"]) == (1000, 3000)
    more = {**values, "source vocabulary": 3001}
    parts = [sum(model_bytes(changed, config, seen).values()) for changed in (values, more)]
    assert parts[1] - parts[0] == 4 * 4 * config.backbone.d_model
    report = {
        "vocab_size": 9,
        "source_vocab_size": 7,
        "train": {"rows": 2, "left_out": 0, "source_tokens": 4, "target_tokens": 4},
    }
    assert Seen.of(report, 9).source_vocabulary == 7


@pytest.mark.parametrize("positions", ["sinusoidal", "learned"])
def test_the_source_reads_its_own_tokens(make_config, files, positions):
    data = DataModule(make_config(*files, f"backbone.positions={positions}"))
    data.prepare()
    task = build_task(data.config, data.tokenizer, data.source_tokenizer)
    assert isinstance(task.model, EncoderDecoder)
    size = ModelSize(9, 8, 4, 1, 4, 0.0, positions, source_vocab_size=30)
    model = EncoderDecoder(size, lambda: task.make_attention().__class__(4), pad=0)
    initialize(model, 1)
    logits_BTV = model(torch.tensor([[29, 4]]), torch.tensor([[2, 8]])).logits_BTV
    assert logits_BTV.shape == (1, 2, 9)
