"""A label for a whole sequence: what it is read from, its metrics, and a run from its data to its answers."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.metrics import f1_score

import attncompare
from attncompare.data.module import DataModule
from attncompare.data.tokenizer import EOS, PAD, Tokenizer
from attncompare.errors import Refused
from attncompare.maps import load_maps
from attncompare.tasks import build_task
from attncompare.tasks.metrics import Accuracy, CalibrationError, MacroF1
from attncompare.training import train

SMALL = (
    *("task=classification", "backbone.d_model=16", "backbone.layers=1", "backbone.d_ff=16", "trainer.threads=1"),
    *("trainer=smoke", "tracking=disabled", "tracking.probes=2", "tracking.images=1"),
)
RANDOM = np.random.default_rng(0)
NAMES = Tokenizer.of_names(["bad", "good", "so so"])


@pytest.fixture
def reader(make_config):
    """Make an untrained task on texts of letters, in evaluation mode."""

    def reader(*overrides):
        texts = Tokenizer.of_names("abcdefgh")
        return build_task(make_config(*SMALL, "data=stdlib_modules", *overrides), NAMES, texts).eval()

    return reader


@pytest.mark.parametrize("pooling", ["cls", "mean"])
@pytest.mark.parametrize("attention", ["scaled", "causal"])
def test_padding_changes_no_answer_and_every_token_counts(reader, attention, pooling):
    task = reader(f"attention={attention}", f"task.pooling={pooling}")
    rows = [[4, 5, 6, EOS], [7, 8, 9, 10, 11, EOS], [4, EOS]]
    batch = torch.tensor([row + [PAD] * (6 - len(row)) for row in rows])
    together = [dict(one) for one in task.classify(batch)]
    for row, found in zip(rows, together, strict=True):
        alone = dict(task.classify(torch.tensor([row]))[0])
        assert alone == pytest.approx(found, abs=1e-6) and sum(found.values()) == pytest.approx(1)
        assert set(found) == {"bad", "good", "so so"}
    for place in range(5):  # causal, too: [CLS] stands behind all others
        other = list(rows[1])
        other[place] = 4
        assert dict(task.classify(torch.tensor([other]))[0]) != pytest.approx(together[1], abs=1e-7)


def test_the_mean_is_over_all_positions_and_cls_is_the_last(reader):
    source_BS = torch.tensor([[4, 5, EOS, PAD], [4, 5, 6, EOS]])
    hidden_BSD = torch.arange(8.0).reshape(2, 4, 1).expand(-1, -1, 16)
    assert reader()._pooled(hidden_BSD, source_BS)[:, 0].tolist() == [2, 7]
    assert reader("task.pooling=mean")._pooled(hidden_BSD, source_BS)[:, 0].tolist() == [1, 5.5]


@pytest.mark.parametrize("classes", [2, 5])
def test_figures_over_all_items_are_those_of_their_definitions(classes):
    probabilities = RANDOM.dirichlet(np.ones(classes), 200)
    labels = RANDOM.integers(0, classes, 200)
    labels[labels == classes - 1] = 0  # a label that test lacks
    f1, calibration, accuracy = MacroF1(), CalibrationError(), Accuracy()
    best, sure = probabilities.argmax(1), probabilities.max(1)
    for start in range(0, 200, 70):
        part = slice(start, start + 70)
        given = torch.tensor(probabilities[part]), torch.tensor(labels[part])
        f1.update(*given)
        calibration.update(*given)
        accuracy.update(torch.tensor(best[part] == labels[part]), torch.arange(200)[part])
    assert f1.compute().item() == pytest.approx(f1_score(labels, best, average="macro"))
    # Guo et al. 2017, equation 3, with 15 bins.
    bins = np.minimum((sure * 15).astype(int), 14)
    gaps = [abs((best == labels)[bins == b].sum() - sure[bins == b].sum()) for b in range(15)]
    assert calibration.compute().item() == pytest.approx(sum(gaps) / 200, abs=1e-6)
    assert accuracy.compute().item() == pytest.approx((best == labels).mean())
    assert len(accuracy.item_sums()) == 200 and f1.item_sums() == calibration.item_sums() == {}
    f1.reset()
    assert f1.labels == []


@pytest.fixture(scope="module", params=["cls", "mean"])
def digits_run(request, tmp_path_factory):
    """The record of a finished run on images."""
    from commands import composed_config

    overrides = [*SMALL, f"task.pooling={request.param}", "attention=multihead", "attention.heads=2"]
    return train(composed_config(tmp_path_factory.mktemp("digits") / "runs", overrides), overrides)


def test_a_run_on_images_answers_with_labels_and_keeps_maps_of_the_image(digits_run, tmp_path):
    rows = [json.loads(line) for line in (digits_run.path / "predictions.jsonl").read_text().splitlines()]
    items = [json.loads(line) for line in (digits_run.path / "items.jsonl").read_text().splitlines()]
    assert [row["id"] for row in rows] == [item["id"] for item in items]
    for row, item in zip(rows, items, strict=True):
        assert item["accuracy"] == [row["reference"] == row["prediction"], 1] and 0.1 <= row["probability"] <= 1
    found = digits_run.summary
    assert found["test"]["accuracy"] == pytest.approx(sum(item["accuracy"][0] for item in items) / len(items))
    metrics = {name for name in found["test"] if "_head_" not in name}
    assert metrics == {"accuracy", "loss", "macro_f1", "calibration_error"}
    assert found["cost"]["train_flops_per_token"] > 0

    cls = digits_run.config.task.pooling == "cls"
    _, (probe, _) = load_maps(min((digits_run.path / "maps").glob("*.npz")))
    (site,) = probe.sites
    assert probe.image_HW.shape == (8, 8) and probe.patch == 2 and probe.squares(site) == 16
    assert len(site.keys) == 16 + cls and (site.queries[-1] == "[CLS]") == cls
    assert np.allclose(site.weights_LHTS.sum(-1), 1, atol=1e-2)

    loaded = attncompare.load(digits_run.path)
    Image.fromarray(probe.image_HW).save(tmp_path / "digit.png")
    labels = loaded.classify(tmp_path / "digit.png")
    assert {label for label, _ in labels} == set("0123456789") and sum(one for _, one in labels) == pytest.approx(1)
    assert [one for _, one in labels] == sorted((one for _, one in labels), reverse=True)
    again = loaded.attention(str(tmp_path / "digit.png"))
    assert again.image_HW.tolist() == probe.image_HW.tolist() and again.text.endswith(f" → {labels[0][0]}")
    Image.fromarray(probe.image_HW[1:]).save(tmp_path / "odd.png")
    with pytest.raises(Refused, match="7 x 8 pixels; the images of the run have 8 x 8"):
        loaded.classify(tmp_path / "odd.png")
    evaluated = loaded.evaluate(["test_size=100"])
    assert evaluated["rows"] == 100


def test_a_run_on_texts_names_their_labels(make_config, tmp_path, cli, refused):
    rows = [(f"number {n} is {'even' if n % 2 == 0 else 'odd'}", n % 2) for n in range(80)]
    (tmp_path / "all.jsonl").write_text("".join(json.dumps({"text": t, "label": label}) + "\n" for t, label in rows))
    own = (f"data.path={tmp_path / 'all.jsonl'}", "data.tokenizer.kind=word", "data.tokenizer.vocab_size=null")
    run = train(make_config(*SMALL, "data=labelled", *own))
    code, out, _ = cli("classify", run.path, "number 3 is odd")
    assert code == 0 and {line.split()[2] for line in out.splitlines()} == {"0", "1"}
    (first, *_) = [json.loads(line) for line in (run.path / "predictions.jsonl").read_text().splitlines()]
    assert first["text"].startswith("number") and first["reference"] in ("0", "1")
    code, out, _ = cli("attend", run.path, "number 3 is nowhere")
    assert code == 0 and "[CLS]" in out and "<unk>" in out
    assert "the text is empty" in refused("classify", run.path, "  ")
    assert "cannot translate; use classify" in refused("translate", run.path)
    data = DataModule(run.config)
    (batch, *_) = data.val_dataloader()
    assert build_task(run.config, data.tokenizer, data.source_tokenizer).readable(batch)[0]["label"] in ("0", "1")
