"""Parallel text from files: what is read, and every way in which it is refused."""

import os

import datasets
import pytest

from attncompare.config import PairsConfig, TokenizerConfig
from attncompare.data.corpora import load_corpus
from attncompare.data.corpus import fingerprint
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


def load(folder):
    tokenizer = TokenizerConfig(kind="word", vocab_size=None, min_count=1, bytes=None, joint=True)
    return load_corpus(
        PairsConfig(name="pairs", path=str(folder), source="en", target="de", batch_size=2, tokenizer=tokenizer), 1
    )


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
    ],
)
def test_bad_files_are_refused_in_one_line(folder, content, message):
    (folder / "train.de").unlink()
    if content is not None:
        (folder / "train.de").write_bytes(content)
    with pytest.raises(Refused, match=message) as refusal:
        load(folder)
    assert "\n" not in str(refusal.value)


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(Refused, match=r"data\.path=.*nowhere is no folder"):
        load(tmp_path / "nowhere")


def test_a_pipe_is_no_file_of_sentences(folder):
    (folder / "train.de").unlink()
    os.mkfifo(folder / "train.de")
    with pytest.raises(Refused, match=r"train\.de: no plain file"):
        load(folder)
