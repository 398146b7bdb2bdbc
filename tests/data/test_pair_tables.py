"""Pairs in tables of every kind: what is read, and what is refused."""

import gzip
import json

import datasets
import pyarrow as pa
import pytest
from corpus_configs import data_config
from pyarrow import parquet

from attncompare.data.corpora import load_corpus
from attncompare.data.corpus import fingerprint
from attncompare.data.files import checked_files
from attncompare.data.splits import SPLITS
from attncompare.errors import Refused

# What a reader could take for something else: nothing, a number, a date, a quotation, another column.
PAIRS = [("one, two", "eins, zwei"), ("NA", "null"), ("3", "0004"), ("2020-01-01", "a 'b'"), ("so it is", "ä\u2028ö")]


def csv(rows):
    return "".join(",".join(f'"{cell}"' for cell in row) + "\r\n" for row in rows).encode()


def tsv(rows):
    return "".join("\t".join(row) + "\n" for row in rows).encode()


def json_lines(rows):
    names, *rows = rows
    return "".join(json.dumps(dict(zip(names, row, strict=True))) + "\n" for row in rows).encode()


def as_parquet(rows):
    names, *rows = rows
    sink = pa.BufferOutputStream()
    table = pa.table({name: [row[i] for row in rows] for i, name in enumerate(names)})
    parquet.write_table(table.append_column("id", pa.array(range(len(rows)))), sink)
    return sink.getvalue().to_pybytes()


KINDS = {
    "csv": csv,
    "tsv": tsv,
    "jsonl": json_lines,
    "parquet": as_parquet,
    "csv.gz": lambda rows: gzip.compress(csv(rows)),
    "tsv.gz": lambda rows: gzip.compress(tsv(rows)),
    "jsonl.gz": lambda rows: gzip.compress(json_lines(rows)),
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: pytest.fail("a local file asks no network"))
    folder = tmp_path / "my [own] data"
    folder.mkdir()
    return folder


def write(folder, kind, rows=PAIRS):
    for split in SPLITS:
        table = [("en", "note", "de"), *((source, "x", f"{target} {split}") for source, target in rows)]
        (folder / f"{split}.{kind}").write_bytes(KINDS[kind](table))


def load(path, **changes):
    return load_corpus(data_config("pairs", path=str(path), **changes), 1)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_gives_the_same_pairs(folder, kind):
    write(folder, kind)
    loaded = load(folder)
    for split in SPLITS:
        assert loaded.splits[split][:] == {
            "source": [source for source, _ in PAIRS],
            "target": [f"{target} {split}" for _, target in PAIRS],
        }
        assert loaded.splits[split].cache_files  # mapped, not in memory
    assert loaded.origin == {"files": {split: [f"{split}.{kind}"] for split in SPLITS}}


def test_the_kind_of_file_is_not_in_the_fingerprint(folder):
    write(folder, "csv")
    before = fingerprint(load(folder))
    for file in folder.iterdir():
        file.unlink()
    write(folder, "parquet")
    assert fingerprint(load(folder)) == before


def test_quotation_marks_quote_in_csv_and_are_text_in_tsv(folder):
    write(folder, "csv")
    (folder / "val.csv").write_bytes(b'en,de\n"a ""b"", c","x\ny"\n')
    assert load(folder).splits["val"][:] == {"source": ['a "b", c'], "target": ["x\ny"]}
    for split in SPLITS:
        (folder / f"{split}.csv").unlink()
    write(folder, "tsv")
    (folder / "val.tsv").write_bytes(b'\xef\xbb\xbfen\tde\r\n"a" b"\t"x\r\n')
    assert load(folder).splits["val"][:] == {"source": ['"a" b"'], "target": ['"x']}


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_columns_inside_another(folder, kind):
    rows = [{"translation": {"en": "one", "de": f"eins {i}"}, "id": i} for i in range(3)]
    for split in SPLITS:
        if kind == "jsonl":
            (folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        else:
            parquet.write_table(pa.Table.from_pylist(rows), folder / f"{split}.parquet")
    loaded = load(folder, source="translation.de", target="translation.en")
    assert loaded.splits["train"][:] == {"source": ["eins 0", "eins 1", "eins 2"], "target": ["one"] * 3}
    with pytest.raises(
        Refused, match=r"data\.source=en: .* no such column; valid: translation\.en, translation\.de, id"
    ):
        load(folder, source="en", target="de")


def test_parts_of_a_split_follow_each_other(folder):
    for split in SPLITS:
        for part in range(2):
            (folder / f"{split}-0000{part}-of-00002.tsv").write_text(f"en\tde\na{part}\tb{part}\n")
    assert load(folder).splits["test"]["source"][:] == ["a0", "a1"]
    (folder / "train-00001-of-00002.tsv").write_text("de\ten\nb1\ta1\n")
    with pytest.raises(Refused, match=r"train-00001.*: other columns than .*train-00000"):
        load(folder)


def test_one_file_is_dealt_out_by_fraction(folder):
    (folder / "all.tsv").write_bytes(tsv([("en", "de"), *((f"a{i}", f"b{i}") for i in range(100))]))
    shares = {"splits": {"val": None, "test": None}, "val_fraction": 0.1, "test_fraction": 0.2}
    loaded = load(folder / "all.tsv", **shares)
    assert [len(loaded.splits[split]) for split in SPLITS] == [70, 10, 20]
    with pytest.raises(Refused, match=r"data\.splits\.val=val: .* is one file; take val from it"):
        load(folder / "all.tsv")
    (folder / "all.txt").write_text("one\n")
    with pytest.raises(Refused, match="one file of pairs must be a table; valid endings: tsv, csv"):
        load(folder / "all.txt", **shares)


BAD = {
    "not-utf-8": ("tsv", b"en\tde\na\tb\xff\n", r"line 2: not UTF-8"),
    "nul": ("tsv", b"en\tde\na\tb\0\n", r"line 2: a NUL byte"),
    "a-carriage-return": ("tsv", b"en\tde\na\rc\tb\n", r"line 2: a carriage return"),
    "too-many-cells": ("tsv", b"en\tde\na\tb\tc\n", r"line 2: 3 columns, but the first line names 2"),
    "too-few-cells": ("tsv", b"en\tde\na\n", r"line 2: 1 columns"),
    "a-blank-line": ("csv", b"en,de\n\na,b\n", r"line 2: 0 columns"),
    "a-blank-cell": ("csv", b"en,de\na,b\n ,b\n", r"source blank .* in row 2"),
    "an-open-quotation": ("csv", b'en,de\n"a,b\n', r"no CSV"),
    "no-rows": ("csv", b"en,de\n", r"is empty"),
    "nothing": ("csv", b"", r"is empty"),
    "twice-one-name": ("csv", b"en,en\na,b\n", r"two columns have one name"),
    "not-csv": ("csv", bytes(range(256)), r"not UTF-8|NUL"),
    "another-column": (
        "csv",
        b"english,de\na,b\n",
        r"data\.source=en: .*train\.csv has no such column; valid: english, de",
    ),
    "no-json": ("jsonl", b"en,de\n", r"line 1: no JSON"),
    "json-list": ("jsonl", b"[1]\n", r"line 1: no JSON object"),
    "half-json": ("jsonl", b'{"en":"a","de":"b"}\n{"en":\n', r"cannot be read: JSON parse error"),
    "json-not-utf-8": ("jsonl", b'{"en":"a","de":"b"}\n{"en":"\xff","de":""}\n', r"line 2: not UTF-8"),
    "a-number": ("jsonl", b'{"en":1,"de":"b"}\n', r"data\.source=en: .* holds int64 there, not text"),
    "a-missing-cell": ("jsonl", b'{"en":"a","de":"b"}\n{"en":"a"}\n', r"no target in row 2"),
    "an-escaped-nul": ("jsonl", b'{"en":"a\\u0000","de":"b"}\n', r"a NUL in source in row 1"),
    "a-list": ("jsonl", b'{"en":["a"],"de":"b"}\n', r"data\.source=en: .* holds List there, not text"),
    "no-parquet": ("parquet", b"PAR1 and no more", r"no whole Parquet file"),
    "half-parquet": ("parquet", b"PAR1" + bytes(100) + b"PAR1", r"no Parquet file that can be read"),
    "gzip-in-name-only": ("csv.gz", b"en,de\na,b\n", r"not a whole gzip file"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_tables_are_refused_in_one_line(folder, case, capfd):
    kind, content, message = BAD[case]
    write(folder, kind)
    (folder / f"train.{kind}").write_bytes(content)
    with pytest.raises(Refused, match=message) as refusal:
        load(folder)
    assert "\n" not in str(refusal.value)
    assert capfd.readouterr() == ("", "")


def test_a_sweep_sees_most_of_it_without_reading_tables(folder):
    early = [
        case
        for case in BAD
        if case not in ("half-json", "a-blank-cell", "a-number", "a-missing-cell", "an-escaped-nul")
    ]
    for case in early:
        kind, content, message = BAD[case]
        for file in folder.iterdir():
            file.unlink()
        write(folder, kind)
        (folder / f"train.{kind}").write_bytes(content)
        if case != "a-list":
            with pytest.raises(Refused, match=message):
                checked_files(data_config("pairs", path=str(folder)))


def test_blank_cells_are_empty_sentences_by_choice_alone(folder):
    write(folder, "csv")
    (folder / "train.csv").write_bytes(b"en,de\na,\n")
    with pytest.raises(Refused, match=r"target blank \(to keep such pairs: data\.keep_empty=true\) in row 1"):
        load(folder)
    assert load(folder, keep_empty=True).splits["train"][:] == {"source": ["a"], "target": [""]}


def test_two_files_for_one_split_are_refused(folder):
    write(folder, "csv")
    (folder / "train.en").write_text("one\n")
    with pytest.raises(Refused, match=r"data\.splits\.train=train: is it .*train\.en or .*train\.csv\?"):
        load(folder)
    (folder / "train.en").unlink()
    write(folder, "tsv")
    with pytest.raises(Refused, match=r"holds files of different kinds: train\.csv, train\.tsv"):
        load(folder)
