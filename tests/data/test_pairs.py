"""Parallel text from files: what is read, and every way in which it is refused."""

import gzip
import os

import datasets
import pytest
from corpus_configs import data_config
from pydantic import ValidationError

from attncompare.config import parse
from attncompare.data.corpora import load_corpus
from attncompare.data.corpus import fingerprint
from attncompare.data.files import checked_files
from attncompare.data.splits import SPLITS
from attncompare.errors import Refused


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    folder = tmp_path / "my [own] data"
    folder.mkdir()
    for split in SPLITS:
        (folder / f"{split}.en").write_bytes(f"one {split}\ntwo\n".encode())
        (folder / f"{split}.de").write_bytes(f"eins {split}\nzwei\n".encode())
    return folder


def load(folder, **changes):
    return load_corpus(data_config("pairs", path=str(folder), **changes), 1)


def test_reads_line_by_line_and_offline(folder, monkeypatch):
    asked = []
    for call in ("socket.socket.connect", "socket.getaddrinfo"):
        monkeypatch.setattr(call, lambda *args, **_: asked.append(args))
    loaded = load(folder)
    assert loaded.splits["val"][:] == {"source": ["one val", "two"], "target": ["eins val", "zwei"]}
    assert not loaded.stream
    assert asked == []
    assert not datasets.are_progress_bars_disabled()


def test_line_ends_and_a_byte_order_mark_are_no_text(folder):
    plain = fingerprint(load(folder))
    (folder / "train.en").write_bytes(b"\xef\xbb\xbfone train\r\ntwo\r\n")
    (folder / "train.de").write_bytes(b"eins train\nzwei")
    assert fingerprint(load(folder)) == plain


def test_only_line_ends_end_lines(folder):
    odd = "one\u2028still\x0bone\x85\u00a0"
    (folder / "train.en").write_text(f"{odd}\ntwo\n", encoding="utf-8", newline="")
    assert load(folder).splits["train"]["source"][:] == [odd, "two"]


def test_a_changed_file_is_read_again(folder):
    before = fingerprint(load(folder))
    (folder / "test.de").write_text("eins test\ndrei\n")
    assert fingerprint(load(folder)) != before


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"train\.de: cannot read: No such file"),
        (b"", r"train\.de is empty"),
        (b"eins\n", r"train\.en has 2 lines but .*train\.de has 1"),
        (b"eins\nzw\xffei\n", r"train\.de, line 2: not UTF-8 \(byte 3 of the line is 0xff\)"),
        (b"ei\0ns\nzwei\n", r"train\.de, line 1: a NUL byte"),
        (b"eins\n \n", r"train\.de, line 2: blank"),
        (b"ei\rns\nzwei\n", r"train\.de, line 1: a carriage return inside"),
        (b"eins\n" + 2**20 * b"z" + b"\n", r"train\.de, line 2: longer than 1048576 bytes"),
        (b"eins\n" * 300_000 + b"\n", r"train\.de, line 300001: blank"),
    ],
)
def test_bad_files_are_refused_in_one_line(folder, content, message):
    (folder / "train.de").unlink()
    if content is not None:
        (folder / "train.de").write_bytes(content)
    for check in (load, lambda path: checked_files(data_config("pairs", path=str(path)))):
        with pytest.raises(Refused, match=message) as refusal:
            check(folder)
        assert "\n" not in str(refusal.value)


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(Refused, match=r"data\.path=.*nowhere is no folder"):
        load(tmp_path / "nowhere")


def test_a_folder_without_the_files_says_what_it_holds_and_what_is_needed(folder):
    with pytest.raises(
        Refused, match=r"data\.splits\.val=dev: no file for it .* it holds .*, val\.en; needed: dev\.en"
    ):
        load(folder, splits={"val": "dev"})


def test_blank_lines_are_empty_pairs_by_choice_alone(folder):
    (folder / "train.de").write_bytes(b"eins\n\n")
    with pytest.raises(Refused, match=r"train\.de, line 2: blank; .*data\.keep_empty=true"):
        load(folder)
    assert load(folder, keep_empty=True).splits["train"]["target"][:] == ["eins", ""]


def test_splits_by_other_names_and_packed_files(folder):
    for language in ("en", "de"):
        (folder / f"val.{language}").rename(folder / f"dev.{language}")
        (folder / f"dev.{language}.gz").write_bytes(gzip.compress((folder / f"dev.{language}").read_bytes()))
        (folder / f"dev.{language}").unlink()
    assert load(folder, splits={"val": "dev"}).splits["val"]["source"][:] == ["one val", "two"]
    (folder / "dev.de.gz").write_bytes((folder / "dev.de.gz").read_bytes()[:-10])
    with pytest.raises(Refused, match=r"dev\.de\.gz: not a whole gzip file"):
        load(folder, splits={"val": "dev"})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"path": None}, "give one of them|data.path=null and data.hub=null: say where"),
        ({"hub": "owner/name"}, "data.path=folder and data.hub=owner/name: give one of them"),
        ({"subset": "x"}, "data.subset=x: only a dataset of the hub has subsets"),
        ({"splits": {"val": None}}, "data.splits.val=null and data.val_fraction=null: give one of them"),
        ({"val_fraction": 0.1}, "data.splits.val=val and data.val_fraction=0.1: give one of them"),
        ({"splits": {"val": "test"}}, "each split needs data of its own"),
        ({"source": "../x"}, "without /"),
        ({"source": "de"}, "source and target are both 'de'"),
        ({"path": None, "hub": "../x"}, "such as owner/name"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_any_file_is_looked_at(changes, message):
    with pytest.raises(ValidationError, match=message):
        data_config("pairs", **{"path": "folder", **changes})


def test_a_pipe_is_no_file_of_sentences(folder):
    (folder / "train.de").unlink()
    os.mkfifo(folder / "train.de")
    with pytest.raises(Refused, match=r"train\.de: no plain file"):
        load(folder)


def test_the_config_of_an_older_record_means_what_it_meant(make_config):
    values = make_config("data=pairs", "data.path=folder").to_dict()
    older = {"hub", "subset", "splits", "val_fraction", "test_fraction", "keep_empty"}
    old = {**values, "data": {key: value for key, value in values["data"].items() if key not in older}}
    assert len(old["data"]) == len(values["data"]) - len(older)
    assert parse(old) == parse(values)
    with pytest.raises(Refused, match=r"5 keys are missing|data\.path: missing"):
        parse({**old, "data": {"name": "pairs"}})
