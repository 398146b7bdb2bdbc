"""Text from files: what is a document, how one text and many are split, streaming, and every refusal."""

import gzip
import json

import datasets
import pytest
from corpus_configs import data_config
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from attncompare.data.corpora import first_documents, load_corpus
from attncompare.data.files import checked_files, lines
from attncompare.data.splits import SPLITS
from attncompare.errors import Refused


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: pytest.fail("a local file asks no network"))
    folder = tmp_path / "texts [1]"
    folder.mkdir()
    return folder


NAMED = {"splits": {split: split for split in SPLITS}, "val_fraction": None, "test_fraction": None}


def load(path, data_seed=1, **changes):
    return load_corpus(data_config("text", path=str(path), **changes), data_seed)


def texts(corpus, split):
    return corpus.splits[split]["text"][:]


def test_a_file_of_plain_text_is_one_document_with_its_line_ends(folder):
    text = "  One.\n\nTwo\u2028\x0bthree\x85 \nä\n\n"
    (folder / "a.txt").write_bytes(b"\xef\xbb\xbf" + text.encode() * 9)
    corpus = load(folder / "a.txt")
    assert corpus.stream
    assert "".join(texts(corpus, split)[0] for split in SPLITS) == text * 9
    (folder / "a.txt").write_bytes((text * 9).replace("\n", "\r\n").encode())
    assert "".join(texts(load(folder / "a.txt"), split)[0] for split in SPLITS) == text * 9


def test_one_text_is_cut_in_order_into_its_shares(folder):
    (folder / "a.txt").write_text("".join(chr(ord("a") + i % 26) for i in range(1000)))
    corpus = load(folder / "a.txt", val_fraction=0.2, test_fraction=0.1)
    assert [len(texts(corpus, split)[0]) for split in SPLITS] == [700, 200, 100]
    (folder / "a.txt").write_text("ab")
    with pytest.raises(Refused, match="a text of 2 characters is too short"):
        load(folder / "a.txt")


@pytest.mark.parametrize("written", ["", "*.txt", "**/*.txt"])
def test_files_are_a_document_each_in_the_order_of_their_names(folder, written):
    for i in range(20):
        (folder / f"{i:02}.txt").write_text(f"document {i}\n")
    corpus = load(f"{folder}/{written}" if not written else str(folder).replace("[", "[[]") + f"/{written}")
    found = [text for split in SPLITS for text in texts(corpus, split)]
    assert sorted(found) == sorted(f"document {i}\n" for i in range(20))
    order = [int(text.split()[1]) for text in texts(corpus, "train")]
    assert order == sorted(order) and len(order) == 18


@pytest.mark.parametrize("kind", ["jsonl", "jsonl.gz", "csv", "txt", "txt.gz", "folders"])
def test_splits_by_name(folder, kind):
    for split in SPLITS:
        content = f"of {split}\n".encode()
        if kind.startswith("jsonl"):
            content = json.dumps({"text": f"of {split}\n", "id": 1}).encode()
        elif kind == "csv":
            content = f'text,id\n"of {split}\n",1\n'.encode()
        if kind == "folders":
            (folder / split).mkdir()
        file = folder / split / "a.txt" if kind == "folders" else folder / f"{split}.{kind}"
        file.write_bytes(gzip.compress(content) if kind.endswith(".gz") else content)
    corpus = load(folder, **NAMED)
    assert [texts(corpus, split) for split in SPLITS] == [[f"of {split}\n"] for split in SPLITS]


def test_documents_of_rows_may_be_blank_and_long(folder):
    rows = ["", "x" * 300_000, "  "]
    (folder / "a.csv").write_text("text\n" + "".join(f'"{row}"\n' for row in rows))
    (folder / "b.txt").write_text("val")
    (folder / "train.csv").write_bytes((folder / "a.csv").read_bytes())
    for split in ("val", "test"):
        (folder / f"{split}.csv").write_text("text\nx\n")
    assert texts(load(folder, **NAMED), "train") == rows


def test_a_column_inside_another(folder):
    (folder / "a.jsonl").write_text("".join(json.dumps({"doc": {"body": f"d{i}"}}) + "\n" for i in range(40)))
    corpus = load(folder / "a.jsonl", column="doc.body")
    assert sum(len(texts(corpus, split)) for split in SPLITS) == 40
    with pytest.raises(Refused, match=r"data\.column=text: .* has no such column; valid: doc\.body"):
        load(folder / "a.jsonl")


@pytest.mark.parametrize("kind", ["jsonl", "csv", "txt"])
def test_streaming_takes_the_first_documents_and_no_more(folder, kind, monkeypatch):
    count = 3000
    if kind == "txt":
        count = 30
        for i in range(count):
            (folder / f"{i:02}.txt").write_text(f"d{i}")
    elif kind == "jsonl":
        (folder / "a.jsonl").write_text("".join(json.dumps({"text": f"d{i}"}) + "\n" for i in range(count)))
    else:
        (folder / "a.csv").write_text("text\n" + "".join(f"d{i}\n" for i in range(count)))
    asked = {"streaming": True, "max_documents": 20}
    corpus = load(folder, **asked)
    found = [text for split in SPLITS for text in texts(corpus, split)]
    assert sorted(found) == sorted(f"d{i}" for i in range(20))
    assert corpus.splits["train"].cache_files
    assert [texts(load(folder, **asked), split) for split in SPLITS] == [texts(corpus, split) for split in SPLITS]
    more = load(folder, streaming=True, max_documents=10**6)
    assert sum(len(texts(more, split)) for split in SPLITS) == count


def test_what_was_streamed_is_not_streamed_again_unless_the_file_changed(folder, monkeypatch):
    file = folder / "a.jsonl"
    file.write_text("".join(json.dumps({"text": f"d{i}"}) + "\n" for i in range(40)))
    load(file, streaming=True, max_documents=30)
    monkeypatch.setattr(first_documents, "stream", lambda *_: pytest.fail("streamed again"))
    load(file, streaming=True, max_documents=30)
    monkeypatch.undo()
    file.write_text("".join(json.dumps({"text": f"new{i}"}) + "\n" for i in range(40)))
    assert texts(load(file, streaming=True, max_documents=30), "train")[0].startswith("new")


def test_a_document_that_is_no_text_leaves_nothing_behind(folder, tmp_path):
    (folder / "a.jsonl").write_text('{"text": "a"}\n{"text": null}\n')
    with pytest.raises(Refused, match=r"data\.column=text: .*a\.jsonl holds NoneType there, not text"):
        load(folder, streaming=True, max_documents=5)
    with pytest.raises(Refused, match=r"no text in row 2"):
        load(folder)
    assert list(tmp_path.glob("**/attncompare/*")) == []


BAD = {
    "nothing": (b"", r"is empty"),
    "only-space": (b"\xef\xbb\xbf \n\t\r\n", r"is empty"),
    "not-utf-8": (b"a" * 2**20 + b"\xff", r"not UTF-8 \(near byte 1048577\)"),
    "half-a-character": (b"a\xc3", r"not UTF-8"),
    "nul": (b"a" * 2**20 + b"\0", r"a NUL byte"),
    "a-carriage-return": (b"a\rb", r"a carriage return inside"),
    "a-carriage-return-at-the-end": (b"a\n\r", r"a carriage return inside"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_text_is_refused_in_one_line(folder, case):
    content, message = BAD[case]
    (folder / "a.txt").write_bytes(content)
    for check in (load, lambda path: checked_files(data_config("text", path=str(path)))):
        with pytest.raises(Refused, match=rf"a\.txt:? .*{message}|a\.txt {message}") as refusal:
            check(folder / "a.txt")
        assert "\n" not in str(refusal.value)


@given(st.lists(st.sampled_from(["a", "ä", "\n", "\r\n", "\r", "\0", " ", "\ud7ff"]), min_size=1), st.integers(1, 9))
def test_a_text_is_judged_the_same_however_it_is_read_in_blocks(tmp_path_factory, parts, block):
    file = tmp_path_factory.getbasetemp() / "judged.txt"
    content = "".join(parts)
    file.write_bytes(content.encode())
    bad = "\0" in content or "\r" in content.replace("\r\n", "") or not content.strip(" \r\n\0")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "_BLOCK", block)
        if bad:
            with pytest.raises(Refused):
                lines.check_whole(file, 2**20)
        else:
            lines.check_whole(file, 2**20)


def test_a_document_must_fit_memory(folder):
    (folder / "a.txt").write_text("x" * 100)
    with pytest.raises(Refused, match="beyond 99 bytes; as one document it must fit memory"):
        lines.check_whole(folder / "a.txt", 99)


def test_places_that_hold_no_text_are_refused(folder):
    with pytest.raises(Refused, match=r"no file there; valid endings: txt, md, tsv"):
        load(folder / "nowhere.txt")
    with pytest.raises(Refused, match=r"no file there"):
        load(folder)
    (folder / "a.bin").write_text("x")
    with pytest.raises(Refused, match=r"cannot tell what .*a\.bin holds"):
        load(folder / "a.bin")
    (folder / "a.txt").write_text("x")
    (folder / "a.csv").write_text("text\nx\n")
    with pytest.raises(Refused, match=r"holds files of different kinds: a\.csv, a\.txt"):
        load(folder)
    with pytest.raises(Refused, match=r"data\.column=body: .*a\.txt is plain text, without columns"):
        load(folder / "a.txt", column="body")
    with pytest.raises(Refused, match=r"data\.splits\.val=dev: no file for it .* it holds a\.bin, a\.csv, a\.txt"):
        (folder / "b.txt").write_text("x")
        load(folder, splits={"train": "b", "val": "dev"}, val_fraction=None)
    with pytest.raises(Refused, match=r"names of splits need a folder"):
        load(folder / "a.txt", splits={"val": "dev"}, val_fraction=None)
    with pytest.raises(Refused, match=r"data\.splits\.train=null takes all files, those of val"):
        load(folder, splits={"val": "a"}, val_fraction=None)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"streaming": True}, "data.streaming=true needs data.max_documents"),
        ({"max_documents": 3}, "data.max_documents=3 needs data.streaming=true"),
        ({"path": None}, "data.path=null and data.hub=null"),
        ({"test_fraction": 0.0}, "a number between 0 and 0.5, or null"),
    ],
)
def test_what_cannot_be_meant_is_refused(changes, message):
    with pytest.raises(ValidationError, match=message):
        data_config("text", **{"path": "folder", **changes})
