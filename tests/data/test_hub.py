"""Datasets of the hub, for which a folder stands in: what is asked of it, and every way in which it cannot be had."""

from types import SimpleNamespace

import datasets
import huggingface_hub
import pytest
from dataset_configs import dataset
from huggingface_hub.errors import RepositoryNotFoundError

from attncompare.errors import Refused

LOAD = datasets.load_dataset_builder


@pytest.fixture
def stand_in(tmp_path, monkeypatch, empty_cache):
    """What stands for owner/name: three splits of pairs and documents, of which val has another name."""
    folder = tmp_path / "hub"
    folder.mkdir()
    for split, rows in {"train": 30, "validation": 3, "test": 2}.items():
        lines = [
            f'{{"translation": {{"en": "e{i} {split}", "de": "d{i}"}}, "text": "t{i}", "id": {i}}}\n'
            for i in range(rows)
        ]
        (folder / f"{split}.jsonl").write_text("".join(lines))
    asked = []
    monkeypatch.setattr(
        huggingface_hub.HfApi, "dataset_info", lambda _, name, **__: SimpleNamespace(sha=f"commit of {name}")
    )

    def load(path, name, revision):
        asked.append((path, name, revision))
        return LOAD(str(folder), name)

    monkeypatch.setattr(datasets, "load_dataset_builder", load)
    return SimpleNamespace(asked=asked)


def pairs(**changes):
    names = {"source": "translation.en", "target": "translation.de", "splits": {"val": "validation"}}
    return dataset("pairs", hub="owner/name", **{**names, **changes}).load()


def test_pairs_come_from_the_hub_with_its_names(stand_in):
    corpus = pairs()
    assert stand_in.asked == [("hf://datasets/owner/name", None, "commit of owner/name")]
    assert corpus.splits["val"][:] == {"source": [f"e{i} validation" for i in range(3)], "target": ["d0", "d1", "d2"]}
    named = {"train": "train", "val": "validation", "test": "test"}
    assert corpus.origin == {
        **{"hub": "owner/name", "subset": "default", "revision": "commit of owner/name"},
        "splits": named,
    }
    assert pairs(splits={"val": "val"}).origin == corpus.origin  # the usual other name
    shared = pairs(splits={"val": None}, val_fraction=0.2)
    assert sum(len(shared.splits[split]) for split in ("train", "val")) == 30 and len(shared.splits["test"]) == 2


@pytest.mark.parametrize("streaming", [False, True])
def test_text_comes_from_the_hub_whole_or_streamed(stand_in, streaming):
    options = {"streaming": True, "max_documents": 10} if streaming else {}
    names = {"splits": {"val": "validation"}, "val_fraction": None}
    corpus = dataset("text", hub="owner/name", **names, **options).load()
    assert sum(map(len, corpus.splits.values())) == (13 if streaming else 33)
    assert corpus.splits["val"]["text"][:] == ["t0", "t1", "t2"]


def test_wrong_names_are_refused_with_the_right_ones(stand_in):
    with pytest.raises(Refused, match=r"data\.hub=owner/name has no split 'dev'; valid: .*train.*validation"):
        pairs(splits={"val": "dev"})
    with pytest.raises(
        Refused, match=r"data\.source=en: data\.hub=owner/name, split train has no such column; valid: tr"
    ):
        pairs(source="en")
    with pytest.raises(Refused, match=r"row 1: int, not text, in source \(data\.source=id\)"):
        pairs(source="id")
    with pytest.raises(Refused, match=r"data\.hub=owner/name: cannot be read: .*'other'"):
        pairs(subset="other")
    with pytest.raises(Refused, match=r"data\.column=body: .*no such column; valid: translation.en, .*text, id"):
        dataset("text", hub="owner/name", column="body", streaming=True, max_documents=9).load()


def raising(error):
    def ask(*_, **__):
        raise error

    return ask


UNREACHABLE = r"^data\.hub=owner/name: the Hugging Face hub cannot be reached \(.+\); use local files with data\.path="


def test_a_hub_that_cannot_be_reached_is_told_in_one_line(stand_in, monkeypatch, capfd):
    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", raising(ConnectionError("no route\nto host")))
    with pytest.raises(Refused, match=UNREACHABLE) as refusal:
        pairs()
    assert "\n" not in str(refusal.value)
    assert capfd.readouterr() == ("", "")
    assert stand_in.asked == []


def test_a_dataset_that_is_not_there_is_told_apart_from_a_hub_that_is_not(stand_in, monkeypatch):
    response = SimpleNamespace(status_code=404, headers={}, request=None)
    error = RepositoryNotFoundError("no such thing", response=response)
    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", raising(error))
    with pytest.raises(Refused, match="the hub has no such dataset, or it is private"):
        pairs()


def test_without_a_network_the_copy_in_the_cache_is_taken_when_asked(stand_in, monkeypatch):
    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", raising(AssertionError("asked")))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    assert len(pairs().splits["train"]) == 30
    assert stand_in.asked == [("hf://datasets/owner/name", None, None)]


def test_a_folder_of_the_same_name_is_not_taken_for_the_hub(tmp_path, monkeypatch, empty_cache):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    (tmp_path / "owner" / "name").mkdir(parents=True)
    (tmp_path / "owner" / "name" / "train.jsonl").write_text('{"en": "a", "de": "b"}\n')
    with pytest.raises(Refused, match=r"data\.hub=owner/name: cannot be read"):
        pairs()
