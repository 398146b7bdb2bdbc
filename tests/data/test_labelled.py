"""Labelled texts and images: where they come from, how they become sequences, and what is refused."""

import importlib.util
import json
import re

import numpy as np
import pytest
from dataset_configs import dataset
from datasets import ClassLabel, Dataset, Features, Value
from PIL import Image

from attncompare.data import module as module_of_data
from attncompare.data.corpora import load_corpus
from attncompare.data.corpora.stdlib_modules import without_names
from attncompare.data.corpus import corpus, fingerprint
from attncompare.data.dataset import SPLITS
from attncompare.data.kinds.labelled import CLS, read_image
from attncompare.data.module import DataModule
from attncompare.data.tokenizer import BOS, EOS, PAD, Tokenizer
from attncompare.errors import Refused

TEXTS = [(f"good film number {n}", "good") for n in range(30)] + [(f"a bad film, {n}", "bad") for n in range(30)]


def table(rows, header="text,label"):
    return "".join(f"{line}\n" for line in (header, *(f'"{text}",{label}' for text, label in rows)))


@pytest.fixture
def of(make_config):
    """Make the data module of a labelled dataset."""

    def of(name, *overrides):
        return DataModule(make_config("task=classification", f"data={name}", *overrides))

    return of


@pytest.fixture
def of_csv(of, folder):
    """Make the data module of one table."""

    def of_csv(text, *overrides):
        (folder / "all.csv").write_text(text)
        return of("labelled", f'data.path="{folder / "all.csv"}"', "data.tokenizer.vocab_size=270", *overrides)

    return of_csv


@pytest.fixture
def of_images(of, monkeypatch):
    """Make the data module of given images by split, in place of the digits."""

    def of_images(images, *overrides):
        columns = {
            split: {"image": rows, "label": [str(n % 2) for n in range(len(rows))]} for split, rows in images.items()
        }
        monkeypatch.setattr(module_of_data, "load_corpus", lambda *_: corpus(columns))
        return of("digits", *overrides)

    return of_images


@pytest.mark.parametrize("pooling", ["cls", "mean"])
@pytest.mark.parametrize("patch", [1, 2, 4])
def test_the_squares_of_an_image_are_the_image(of, patch, pooling):
    data = of("digits", f"data.patch={patch}", f"task.pooling={pooling}")
    (probe,) = data.probes(1)
    squares = np.array(probe.source_ids)
    if pooling == "cls":
        assert probe.places[-1] == CLS and squares[-1].tolist() == [0] * patch**2 + [1] and not squares[:-1, -1].any()
        squares = squares[:-1, :-1]
    seen = np.zeros((8, 8))
    for place, square in zip(probe.places, squares, strict=False):
        row, column = (patch * (int(one) - 1) for one in place.split(","))
        seen[row : row + patch, column : column + patch] = square.reshape(patch, patch)
    assert len(squares) == (8 // patch) ** 2
    assert np.allclose((seen + 1) / 2 * 255, probe.image, atol=1e-3)
    assert probe.patch == patch and data.tokenizer.decode(probe.target_ids[1:]) in data.report["labels"]


def test_digits_are_drawn_by_the_seed_and_no_image_stands_in_two_splits():
    first, again, other = (dataset("digits", seed).load() for seed in (1, 1, 2))
    assert fingerprint(first) == fingerprint(again) != fingerprint(other)
    images = [json.dumps(image) for split in SPLITS for image in first.splits[split]["image"]]
    assert len(set(images)) == len(images) == 1797
    assert sorted(set(first.splits["test"]["label"])) == list("0123456789")
    assert {level for image in images for row in json.loads(image) for level in row} <= set(range(256))


def test_docstrings_show_neither_their_module_nor_a_text_of_another_split(monkeypatch):
    loaded = dataset("stdlib_modules", modules=3).load()
    texts = [text for split in SPLITS for text in loaded.splits[split]["text"]]
    assert len(set(texts)) == len(texts) > 500
    names = set(loaded.splits["train"]["label"])
    assert len(names) == 3
    assert not [text for text in texts if names & set(re.findall(r"[a-z]+", text.lower()))]


def test_names_are_taken_out_as_whole_words_and_what_is_equal_then_stays_once():
    rows = without_names({"xml": ["Parse XML.", "The xml.dom of xmlrpc", "xml"], "_pyio": ["Parse .", "_pyio: open"]})
    assert rows == [("Parse .", "xml"), ("The .dom of xmlrpc", "xml"), (": open", "_pyio")]


@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_texts_and_labels_survive_and_long_texts_are_cut_in_train_too(of_csv, pooling):
    long = ("good " * 400, "good")
    data = of_csv(table([*TEXTS, *[long] * 20]), f"task.pooling={pooling}", "task.max_length=16", "data.batch_size=8")
    data.prepare()
    assert data.report["labels"] == data.tokenizer.names == ["bad", "good"]
    kept = 0
    for split, loader in (("val", data.val_dataloader()), ("test", data.test_dataloader())):
        for batch in loader:
            assert batch.source_BS.shape[1] <= 16
            for places, label, row in zip(batch.source_BS.tolist(), batch.label_B, batch.index_B.tolist(), strict=True):
                ids = [one for one in places if one != PAD]
                assert (ids[-1] == EOS) == (pooling == "cls")
                text = data.text(split, row)
                assert text.startswith(data.source_tokenizer.decode(ids))
                assert ("good" in text) == (data.tokenizer.names[label] == "good")
                kept += 1
    assert kept == sum(data.report[split]["rows"] for split in ("val", "test"))
    # Equal texts stay together, so all twenty are in one split, each cut and none left out.
    assert sorted(data.report[split]["truncated"] for split in SPLITS) == [0, 0, 20]
    assert not any(data.report[split]["left_out"] for split in SPLITS)
    assert sum(batch.scored() for batch in data.train_dataloader()) == data.report["train"]["rows"]


def test_own_sentences_are_texts_and_images_have_none(of, of_csv):
    data = of_csv(table(TEXTS))
    (probe,) = data.probes(["a good film"])
    assert probe.places[-1] == CLS and probe.target_ids == [] and probe.written == "a good film"
    for module, sentence in ((data, "x " * 500), (of("digits"), "a digit")):
        with pytest.raises(Refused, match=r"^tracking\.probes="):
            module.probes([sentence])


def test_a_probe_of_a_text_begins_with_its_tokens_and_ends_with_cls(of_csv):
    data = of_csv(table(TEXTS))
    for probe in data.probes(3):
        assert len(probe.places) == len(probe.source_ids) and probe.places[-1] == CLS and probe.image is None
        assert "".join(probe.places[:-1]).replace("▁", " ") == probe.written
        assert probe.target_ids[0] == BOS


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_labels_may_be_numbers_and_classes_of_parquet_have_their_names(folder, kind):
    texts, numbers = [text for text, _ in TEXTS], [int(label == "good") for _, label in TEXTS]
    file, names = folder / f"all.{kind}", ["0", "1"] if kind == "jsonl" else ["bad", "good"]
    rows = {"text": texts, "label": numbers}
    if kind == "jsonl":
        lines = (json.dumps(dict(zip(rows, row, strict=True))) for row in zip(*rows.values(), strict=True))
        file.write_text("\n".join(lines))
    else:
        features = Features({"text": Value("string"), "label": ClassLabel(names=names)})
        Dataset.from_dict(rows, features).to_parquet(file)
    loaded = load_corpus(dataset("labelled", path=str(file)).config, 1)
    found = {row["text"]: row["label"] for split in SPLITS for row in loaded.splits[split]}
    assert found == {text: names[number] for text, number in zip(texts, numbers, strict=True)}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (table(TEXTS, "review,stars"), "data.text_column=text.*no such column; valid: review, stars"),
        (table(TEXTS[:30]), "label 'good'.*two labels or more"),
        (table([*TEXTS[:3], (" ", "bad")]), "all.csv, line 5: blank .* in text"),
        (table([*TEXTS[:3], ("film", "")]), "all.csv, line 5: blank .* in label"),
        (table([*TEXTS, ("film", "<pad>"), ("films", "<pad>")] * 9), "label '<pad>'.*taken"),
        (table(TEXTS[:2]), "too few"),
    ],
)
def test_tables_that_cannot_serve_are_refused_in_one_line(of_csv, text, said):
    with pytest.raises(Refused, match=said) as refused:
        of_csv(text).prepare()
    assert "\n" not in str(refused.value)


def test_a_label_that_train_lacks_is_refused_with_its_row(of, folder):
    for split, rows in {"train": TEXTS, "val": TEXTS[20:40], "test": [*TEXTS[:2], ("so so", "fair")]}.items():
        (folder / f"{split}.csv").write_text(table(rows))
    names = [f"data.splits.{split}={split}" for split in SPLITS]
    none = ["data.val_fraction=null", "data.test_fraction=null"]
    with pytest.raises(Refused, match=r"test, row 3 \(so so\): no train row has the label 'fair'; valid: bad, good"):
        of("labelled", f'data.path="{folder}"', "data.tokenizer.vocab_size=270", *names, *none).prepare()


def test_a_plain_text_has_no_columns(of, folder):
    (folder / "all.txt").write_text("a text\n")
    with pytest.raises(Refused, match="all.txt is plain text and has no columns; valid: .*csv"):
        of("labelled", f'data.path="{folder / "all.txt"}"').prepare()


def test_images_of_train_alone_are_moved_and_anew_in_each_epoch(of):
    still, moving = (
        of("digits", "task.pooling=mean", "data.patch=1"),
        of("digits", "task.pooling=mean", "data.patch=1", "data.shift=1"),
    )

    def images(loader):
        batches = list(loader)
        order = np.concatenate([batch.index_B for batch in batches]).argsort()
        return np.concatenate([batch.source_BS[:, :, 0] for batch in batches])[order].reshape(-1, 8, 8)

    loader = moving.train_dataloader()
    before, first, second = images(still.train_dataloader()), images(loader), images(loader)
    wide = np.pad(before, ((0, 0), (1, 1), (1, 1)), constant_values=-1)
    ways = [wide[:, y : y + 8, x : x + 8] for y in range(3) for x in range(3)]
    for epoch in (first, second):
        found = np.array([(epoch == way).all((1, 2)) for way in ways])
        assert found.any(0).all() and (found.sum(1) > len(before) / 20).all()  # each of the nine ways, about as often
    assert not (first == second).all()
    assert (images(moving.train_dataloader()) == first).all()
    for loader in (DataModule.val_dataloader, DataModule.test_dataloader):
        assert (images(loader(still)) == images(loader(moving))).all()


SQUARE = [[0] * 4] * 4


@pytest.mark.parametrize(
    ("images", "overrides", "said"),
    [
        (
            {"train": [SQUARE] * 8, "val": [SQUARE, [[0] * 4] * 5], "test": [SQUARE]},
            [],
            "val, row 2: .*5 x 4 pixels.* 4 x 4",
        ),
        (dict.fromkeys(SPLITS, [SQUARE] * 4), ["data.patch=3"], "data.patch=3: .*4 x 4.*valid: 1, 2, 4"),
        (
            dict.fromkeys(SPLITS, [SQUARE] * 4),
            ["data.patch=1", "task.max_length=16"],
            "16 squares and .CLS. needs 17 places",
        ),
        (dict.fromkeys(SPLITS, [SQUARE] * 4), ["data.shift=4"], "data.shift=4: .*4 x 4 pixels; valid: 0 to 3"),
    ],
)
def test_images_that_cannot_serve_are_refused_in_one_line(of_images, images, overrides, said):
    with pytest.raises(Refused, match=said) as refused:
        of_images(images, *overrides).prepare()
    assert "\n" not in str(refused.value)


def test_digits_without_scikit_learn_name_the_extra(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(Refused, match=r"attncompare\[digits\]"):
        dataset("digits").load()
    with pytest.raises(Refused, match="there are 1797 images"):
        dataset("digits", val_size=1000, test_size=797).load()


def test_an_image_is_read_from_png_and_csv_as_it_is(folder):
    levels = np.random.default_rng(0).integers(0, 256, (4, 6), dtype=np.uint8)
    Image.fromarray(levels).save(folder / "one.png")
    np.savetxt(folder / "one.csv", levels, fmt="%d", delimiter=",")
    for name in ("one.png", "one.csv"):
        assert read_image(folder / name, (4, 6)).tolist() == levels.tolist()
        with pytest.raises(Refused, match="4 x 6 pixels; the images of the run have 8 x 8"):
            read_image(folder / name, (8, 8))
    (folder / "dark.csv").write_text("-1,2\n")
    (folder / "odd.png").write_text("no image")
    for name, said in {
        "dark.csv": "from 0 to 255",
        "odd.png": "cannot be read as an image",
        "none.png": "No such file",
    }.items():
        with pytest.raises(Refused, match=said):
            read_image(folder / name, (1, 2))


def test_names_are_whole_tokens_and_come_back_from_their_file():
    names = Tokenizer.of_names(["", " a b", "a", "日本"])
    again = Tokenizer.parse(names.to_text().encode(), "file")
    for one in (names, again):
        assert one.names == ["", " a b", "a", "日本"]
        assert [one.encode(name).ids for name in one.names[1:]] == [[5], [6], [7]]
