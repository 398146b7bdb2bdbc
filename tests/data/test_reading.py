"""Files of every kind: each string arrives as it was written, and what cannot be read is refused with its place."""

import glob
import gzip
import json
import os
from pathlib import Path

import datasets
import pyarrow as pa
import pytest
from dataset_configs import data_config, dataset
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet
from pydantic import ValidationError

from attncompare.data import files, reading
from attncompare.data.corpus import fingerprint
from attncompare.data.dataset import SPLITS
from attncompare.data.files import split_files
from attncompare.errors import Refused

# What a reader could take for something else: nothing, a number, a date, a quotation, a line end, a special token.
WORDS = ["null", "NA", "nan", "None", "007", "1.50", "1e5", "true", "2020-01-01", "12:30"]
MARKS = ['"Hello', '5" disk', "'a'", '""', "a, b", "a;b", "\\n", "#", "<pad>", "</s>", "[MASK]", "▁", "Ġ", "{}", "=1"]
LETTERS = [
    "ä\u2028ö",
    "\x0b\x0c",
    "\x85",
    "\u00a0",
    " lead",
    "trail ",
    "e\u0301",
    "é",
    "\u200d\u200b",
    "שלום",
    "👩🏽‍🚀",
]
STRINGS = [*WORDS, *MARKS, *LETTERS, "\ufeffmark inside", "x" * 200_000]


def csv(rows):
    return "".join(",".join('"' + cell.replace('"', '""') + '"' for cell in row) + "\r\n" for row in rows).encode()


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


TABLES = {"csv": csv, "tsv": tsv, "jsonl": json_lines, "parquet": as_parquet}
KINDS = [*TABLES, "csv.gz", "tsv.gz", "jsonl.gz", "lines", "lines.gz", "save_to_disk"]


def write(folder, split, kind, rows):
    """Write rows of source and target as a split."""
    packed = gzip.compress if kind.endswith(".gz") else bytes
    plain = kind.removesuffix(".gz")
    if kind == "save_to_disk":
        columns = {"en": [row[0] for row in rows], "de": [row[1] for row in rows]}
        datasets.Dataset.from_dict(columns).save_to_disk(folder / split)
    elif plain == "lines":
        for side, language in enumerate(("en", "de")):
            content = packed("".join(f"{row[side]}\n" for row in rows).encode())
            (folder / f"{split}.{language}{kind.removeprefix('lines')}").write_bytes(content)
    else:
        table = TABLES[plain]([("en", "note", "de"), *((source, "x", target) for source, target in rows)])
        (folder / f"{split}.{kind}").write_bytes(packed(table))


def pairs(path, **changes):
    return dataset("pairs", path=str(path), **changes).load()


def texts(path, split, **changes):
    return dataset("text", path=str(path), **changes).load().splits[split]["text"][:]


@pytest.mark.parametrize("kind", KINDS)
def test_every_string_of_a_pair_arrives_as_it_was_written(folder, kind):
    rows = {split: [(text, f"{text} {split}") for text in STRINGS] for split in SPLITS}
    for split in SPLITS:
        write(folder, split, kind, rows[split])
    found = pairs(folder, keep_empty=True)
    for split in SPLITS:
        assert list(found.rows(split, ["source", "target"])) == rows[split]


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "parquet", "txt"])
def test_every_string_of_a_document_arrives_as_it_was_written(folder, kind):
    if kind == "txt":
        for number, text in enumerate(STRINGS):
            (folder / f"{number:02}.txt").write_bytes(b"\xef\xbb\xbf" + f"a {text}\n\n".encode())
        written = [f"a {text}\n\n" for text in STRINGS]
    else:
        (folder / f"all.{kind}").write_bytes(TABLES[kind]([("text",), *((text,) for text in STRINGS)]))
        written = STRINGS
    found = [text for split in SPLITS for text in texts(folder, split)]
    assert sorted(found) == sorted(written)


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "parquet", "save_to_disk"])
def test_the_fingerprint_does_not_depend_on_the_kind_of_file(folder, kind):
    for number, written in enumerate(("lines", kind)):
        (folder / str(number)).mkdir()
        for split in SPLITS:
            write(folder / str(number), split, written, [("a", f"b {split}"), ("NA", "007")])
    assert fingerprint(pairs(folder / "0")) == fingerprint(pairs(folder / "1"))


def test_marks_of_byte_order_and_both_kinds_of_line_ends_are_no_text(folder):
    for split in SPLITS:
        write(folder, split, "lines", [("one", "eins"), ("two", "zwei")])
    plain = fingerprint(pairs(folder))
    (folder / "train.en").write_bytes(b"\xef\xbb\xbfone\r\ntwo\r\n")
    (folder / "train.de").write_bytes(b"eins\nzwei")
    assert fingerprint(pairs(folder)) == plain
    (folder / "train.en").write_bytes(b"one\ntoo\n")  # a changed file is read again
    assert fingerprint(pairs(folder)) != plain
    (folder / "a.txt").write_bytes(b"\xef\xbb\xbfone\r\n\r\ntwo" * 3)
    assert (
        "".join(texts(folder / "a.txt", split)[0] for split in SPLITS) == "one\n\ntwo\ufeffone\n\ntwo\ufeffone\n\ntwo"
    )


def test_quotation_marks_quote_in_csv_alone(folder):
    for kind in ("csv", "tsv"):
        (folder / kind).mkdir()
        for split in SPLITS:
            write(folder / kind, split, kind, [("a", "b")])
    (folder / "csv" / "val.csv").write_bytes(b'en,de\n"a ""b"", c","x\r\ny"\n')
    (folder / "tsv" / "val.tsv").write_bytes(b'\xef\xbb\xbfen\tde\r\n"a" b"\t"x\r\n')
    assert pairs(folder / "csv").splits["val"][:] == {"source": ['a "b", c'], "target": ["x\ny"]}
    assert pairs(folder / "tsv").splits["val"][:] == {"source": ['"a" b"'], "target": ['"x']}


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_columns_inside_another(folder, kind):
    rows = [{"translation": {"en": "one", "de": f"eins {i}"}, "id": i} for i in range(3)]
    for split in SPLITS:
        if kind == "jsonl":
            (folder / f"{split}.jsonl").write_text("\n".join(map(json.dumps, rows)))
        else:
            parquet.write_table(pa.Table.from_pylist(rows), folder / f"{split}.parquet")
    found = pairs(folder, source="translation.de", target="translation.en")
    assert found.splits["train"][:] == {"source": ["eins 0", "eins 1", "eins 2"], "target": ["one"] * 3}
    with pytest.raises(Refused, match=r"data\.source=en: .* no such column; valid: .*translation\.en"):
        pairs(folder, source="en", target="de")


BAD_LINES = [
    (None, r"train\.de: no such file"),
    (b"", r"train\.de is empty"),
    (b"eins\n", r"train\.en has 2 lines but .*train\.de has 1"),
    (b"eins\nzw\xffei\n", r"train\.de, line 2: not UTF-8 \(byte 3 of the line is 0xff\)"),
    (b"ei\0ns\nzwei\n", r"train\.de, line 1: a NUL"),
    (b"eins\n \n", r"train\.de, line 2: blank .*data\.keep_empty=true"),
    (b"ei\rns\nzwei\n", r"train\.de, line 1: a carriage return inside; .* LF or CRLF"),
    (b"eins\n\r", r"train\.de, line 2: a carriage return"),
]


@pytest.mark.parametrize(("content", "message"), BAD_LINES)
def test_bad_lines_are_refused_with_their_number(folder, content, message):
    for split in SPLITS:
        write(folder, split, "lines", [("one", "eins"), ("two", "zwei")])
    (folder / "train.de").unlink()
    if content is not None:
        (folder / "train.de").write_bytes(content)
    for check in (pairs, lambda path: dataset("pairs", path=str(path)).files()):
        with pytest.raises(Refused, match=message) as refusal:
            check(folder)
        assert "\n" not in str(refusal.value)


BAD_TABLES = {
    "not UTF-8": ("tsv", b"en\tde\na\tb\xff\n", r"line 2: not UTF-8 \(byte 4"),
    "too many cells": ("tsv", b"en\tde\na\tb\tc\n", r"line 2: 3 columns, but the first line has 2"),
    "too few cells": ("tsv", b"en\tde\na\n", r"line 2: 1 column,"),
    "a blank line": ("csv", b"en,de\n\na,b\n", r"line 2: blank"),
    "a blank cell": ("csv", b"en,de\na,b\n ,b\n", r"line 3: blank .* in source"),
    "an open quotation": ("csv", b'en,de\n"a,b\n', r"line 2: no CSV"),
    "no rows": ("csv", b"en,de\n", r"is empty"),
    "nothing": ("csv", b"", r"is empty"),
    "a blank line at the end": ("tsv", b"en\tde\na\tb\n\n", r"line 3: blank"),
    "a name twice": ("csv", b"en,de,en\na,b,c\n", r"two columns have the name en"),
    "other columns": ("csv", b"english,de\na,b\n", r"data\.source=en: .*csv has no such column; valid: english, de"),
    "no JSON": ("jsonl", b"en,de\n", r"line 1: no JSON"),
    "a list": ("jsonl", b"[1]\n", r"row 1: no JSON object"),
    "half a line": ("jsonl", b'{"en":"a","de":"b"}\n{"en":\n', r"line 2: no JSON"),
    "a number": ("jsonl", b'{"en":1,"de":"b"}\n', r"line 1: int, not text, in source"),
    "a missing cell": ("jsonl", b'{"en":"a","de":"b"}\n\n{"en":"a"}\n', r"line 3: no text in target"),
    "an escaped NUL": ("jsonl", b'{"en":"a\\u0000","de":"b"}\n', r"line 1: a NUL in source"),
    "half a character": ("jsonl", b'{"en":"a\\ud800","de":"b"}\n', r"line 1: no JSON"),
    "no Parquet": ("parquet", b"PAR1 and no more", r"cannot be read: "),
    "a number in Parquet": ("parquet", as_parquet([("de", "x"), ("a", "b")]), r"data\.source=en: .* no such column"),
    "gzip in name only": ("csv.gz", b"en,de\na,b\n", r"not a whole gzip file"),
    "half a gzip file": ("csv.gz", gzip.compress(csv([("en", "de"), ("a", "b")]))[:-10], r"not a whole gzip file"),
}


@pytest.mark.parametrize("case", BAD_TABLES)
def test_bad_tables_are_refused_in_one_line(folder, case, capfd):
    kind, content, message = BAD_TABLES[case]
    for split in SPLITS:
        write(folder, split, kind, [("a", "b")])
    (folder / f"train.{kind}").write_bytes(content)
    for check in (pairs, lambda path: dataset("pairs", path=str(path)).files()):
        with pytest.raises(Refused, match=message) as refusal:
            check(folder)
        assert "\n" not in str(refusal.value)
    assert capfd.readouterr() == ("", "")


ONE = {"splits": {"val": None, "test": None}, "val_fraction": 0.2, "test_fraction": 0.2}
NUMBERS = {"source": "0", "target": "1"}
# The name of a file, its content, what the config says, and what the one line must say.
NOT_SO = {
    "no header": (
        "deu.tsv",
        "Go.\tGeh.\tCC-BY\nHi.\tHallo.\tCC-BY\n",
        {},
        r"like text .*Go\. \| Geh\..* data\.source=0 data\.target=1 data\.header=no$",
    ),
    "no header, alike": ("deu.txt", "No!\tNo!\nGo.\tGeh.\n", {}, r"data\.source=0 data\.target=1 data\.header=no$"),
    "no header, in another script": ("a.txt", "كيف حالك؟\tHow\nنعم\tYes\n", {}, r"data\.source=0 data\.target=1"),
    "one column of text": ("a.txt", "Hello.\nYou.\n", {}, r"data\.source=en: .* valid: Hello\."),
    "a name of several words": (
        "a.tsv",
        "en\tde\tName of the contributor\na\tb\tc\n",
        {"target": "german"},
        r"valid: en, de",
    ),
    "a separator of JSON": (
        "a.json",
        '[{"en": "a", "de": "b"}]',
        {"separator": "tab"},
        r"data\.separator: .*leave it out",
    ),
    "a header of JSON": ("a.jsonl", '{"en": "a", "de": "b"}', {"header": "no"}, r"data\.header: .*leave it out"),
    "a field of a table": ("a.csv", "en,de\na,b\n", {"field": "data"}, r"data\.field: .*leave it out"),
    "no such number": (
        "a.csv",
        "a,b\nc,d\n",
        {"source": "0", "target": "2"},
        r"data\.target=2: .* 2 columns, from 0 to 1",
    ),
    "names without a header": (
        "a.csv",
        "a,b\n",
        {"header": "no"},
        r"data\.header=no: .* data\.source=0 data\.target=1",
    ),
    "numbers under a header": (
        "a.csv",
        "en,de\na,b\n",
        {**NUMBERS, "header": "yes"},
        r"data\.source=0: .* valid: en, de",
    ),
    "two separators": ("a.csv", "a;b,c\n", NUMBERS, r"cut at each of , ;; set data\.separator=comma or semicolon"),
    "no separator": ("a.txt", "a b\nc d\n", NUMBERS, r"data\.target=1: .* has 1 column"),
    "another separator": ("a.csv", "en;de\na;b\n", {"separator": "comma"}, r"data\.source=en: .* valid: en;de"),
    "a short row": ("a.txt", "a\tb\nc\n", NUMBERS, r"a\.txt, line 2: 1 column, but the first line has 2"),
    "a long row": ("a.csv", "en;de\na;b\nc;d;e\n", {}, r"a\.csv, line 3: 3 columns, but the first line has 2"),
    "a blank row": ("a.txt", "a\tb\n\t\nc\td\n", NUMBERS, r"a\.txt, line 2: blank"),
    "a blank first line": ("a.csv", "\nen,de\na,b\n", {}, r"a\.csv begins with a blank line"),
    "no such field": ("a.json", '{"rows": []}', {"field": "data"}, r"data\.field=data: .* no such key; valid: rows"),
    "a field of a list": (
        "a.json",
        '[{"en": "a", "de": "b"}]',
        {"field": "data"},
        r"data\.field=data: .* holds a list .*leave data\.field out",
    ),
    "a field that is no list": ("a.json", '{"data": {"en": "a"}}', {"field": "data"}, r"holds no list"),
    "lists inside of an object": ("a.json", '{"data": [{"en": "a", "de": "b"}]}', {}, r"data\.field=data$"),
    "lists on several lines": ("a.json", '{\n "v": 1,\n "data": [{"en": "a"}]\n}', {}, r"data\.field=data$"),
    "a list that holds no rows": ("a.jsonl", '{"a": "b", "tags": ["x"]}\n', {}, r"data\.source=en: .*valid: a, tags"),
    "a row that is none": ("a.json", '[{"en": "a", "de": "b"}, ["c", "d"]]', {}, r"a\.json, row 2: no JSON object"),
    "a cell that is no text": ("a.json", '[{"en": "a", "de": 1}]', {}, r"a\.json, row 1: int, not text, in target"),
    "half a list": ("a.json", '[{"en": "a", "de": "b"},', {}, r"a\.json: no JSON"),
    "a comma too many": ("a.json", '[\n{"en": "a", "de": "b"},\n]', {}, r"a\.json, line [23]: no JSON"),
    "an empty list": ("a.json", "[]", {}, r"a\.json is empty"),
}


@pytest.mark.parametrize("case", NOT_SO)
def test_tables_that_are_not_what_the_config_says_are_refused_in_one_line(folder, case):
    name, content, changes, message = NOT_SO[case]
    (folder / name).write_text(content)
    with pytest.raises(Refused, match=message) as refusal:
        pairs(folder / name, **ONE, **changes)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("separator", [",", ";", "|", "\t"])
@pytest.mark.parametrize("ending", ["csv", "txt"])
@pytest.mark.parametrize("header", [True, False])
def test_the_separator_is_told_by_the_first_line_or_by_the_config(folder, separator, ending, header):
    rows = [["en", "de"]] * header + [[f"No {i}", f"Nein {i}"] for i in range(40)]
    (folder / f"a.{ending}").write_text("".join(separator.join(row) + "\n" for row in rows))
    found = pairs(folder / f"a.{ending}", **ONE, **({} if header else NUMBERS))
    given = pairs(folder / f"a.{ending}", **ONE, **({} if header else NUMBERS), separator=separator)
    assert fingerprint(found) == fingerprint(given) and found.origin == given.origin
    (told,) = found.origin["tables"].values()
    name = {",": "comma", ";": "semicolon", "|": "pipe", "\t": "tab"}[separator]
    assert told == {"separator": name, "header": header}
    assert sum(map(len, found.splits.values())) == 40


def test_a_tab_is_no_part_of_a_text_and_other_separators_are(folder):
    (folder / "a.txt").write_text("".join(f"Well, {i}; no|yes\tNun, {i}; ja\n" for i in range(40)))
    (folder / "a.tsv").write_text("".join(f"Well, {i}; no|yes\n" for i in range(40)))
    assert {source[:6] for source in pairs(folder / "a.txt", **ONE, **NUMBERS).splits["train"]["source"]} == {"Well, "}
    assert all(text.endswith("no|yes") for text in texts(folder / "a.tsv", "train", column="0"))


def test_other_usual_names_of_splits_are_found_where_one_is_there(folder):
    for split, name in {"train": "train", "val": "dev", "test": "eval"}.items():
        write(folder, name, "csv", [("a", f"b {split}")])
    found = pairs(folder)
    assert [found.splits[split]["target"][:] for split in SPLITS] == [[f"b {split}"] for split in SPLITS]
    assert found.origin["splits"] == {"train": "train", "val": "dev", "test": "eval"}
    assert pairs(folder, splits={"val": "dev"}).origin == found.origin
    write(folder, "valid", "csv", [("a", "b")])
    with pytest.raises(Refused, match=r"data\.splits\.val=val: is it valid or dev\?"):
        pairs(folder)
    assert pairs(folder, splits={"val": "dev"}).origin == found.origin
    assert pairs(folder, splits={"val": "valid", "test": "dev"}).origin["splits"]["test"] == "dev"
    write(folder, "val", "csv", [("a", "c")])  # the name itself comes first
    assert pairs(folder).origin["splits"]["val"] == "val"


def test_a_split_that_is_not_there_can_be_taken_from_train_as_the_refusal_says(folder):
    for split in ("train", "test"):
        write(folder, split, "csv", [(f"a{i}", "b") for i in range(40)])
    with pytest.raises(Refused, match=r"validation or valid or dev; data\.splits\.val=null data\.val_fraction=0\.05"):
        pairs(folder)
    assert len(pairs(folder, splits={"val": None}, val_fraction=0.2).splits["val"])


def test_parts_of_a_split_are_all_there_or_it_is_refused(folder):
    for split in ("val", "test", "train-00001-of-00003", "train-00002-of-00003"):
        write(folder, split, "csv", [("a", "b")])
    with pytest.raises(Refused, match=r"of 3 parts number 0 is not in"):
        pairs(folder)
    write(folder, "train-00000-of-00003", "csv", [("a", "b")])
    assert len(pairs(folder).splits["train"]) == 3
    write(folder, "train", "csv", [("a", "b")])
    with pytest.raises(Refused, match=r"is it .*train-00000-of-00003\.csv or .*train\.csv"):
        pairs(folder)


def test_saved_rows_without_any_file_of_them_are_refused(folder):
    rows = datasets.Dataset.from_dict({"en": ["a"], "de": ["b"]})
    datasets.DatasetDict(train=rows, val=rows, test=rows.select([])).save_to_disk(folder / "saved")
    with pytest.raises(Refused, match=r"test is empty"):
        pairs(folder / "saved")


@pytest.mark.parametrize("kind", ["tsv", "csv"])
def test_a_row_of_empty_cells_is_no_blank_line(folder, kind):
    for split in SPLITS:
        write(folder, split, kind, [("a", "b"), ("", "")])
    assert list(pairs(folder, keep_empty=True).rows("train", ["source", "target"])) == [("a", "b"), ("", "")]
    with pytest.raises(Refused, match=r"line 3: blank .*blank_lines"):
        pairs(folder)


@pytest.mark.parametrize("kind", KINDS)
def test_blank_pairs_are_dropped_on_both_sides_and_counted(folder, kind):
    for split in SPLITS:
        write(
            folder, split, kind, [("a", "b"), ("", "c"), ("d", " "), ("e", "f")] if split == "train" else [("g", "h")]
        )
    found = pairs(folder, blank_lines="drop")
    assert list(found.rows("train", ["source", "target"])) == [("a", "b"), ("e", "f")]
    assert found.dropped == {"train": 2}
    with pytest.raises(Refused, match="blank"):
        pairs(folder)
    with pytest.raises(ValueError, match="leave one out"):
        pairs(folder, blank_lines="drop", keep_empty=True)


def test_a_blank_line_of_a_table_is_a_blank_pair_and_nothing_but_those_is_refused(folder):
    for split in SPLITS:
        (folder / f"{split}.csv").write_text("en,de\n\na,b\n\n")
    assert pairs(folder, blank_lines="drop").dropped == dict.fromkeys(SPLITS, 2)
    (folder / "val.csv").write_text("en,de\n\n,\n")
    with pytest.raises(Refused, match="val"):
        pairs(folder, blank_lines="drop")


def test_rows_without_text_are_dropped_of_tables_and_plain_text_stays_whole(folder):
    (folder / "rows.csv").write_text("text\n" + "".join(f"text {number}\n" for number in range(60)) + '" "\n')
    whole = dataset("text", path=str(folder / "rows.csv")).load()
    found = dataset("text", path=str(folder / "rows.csv"), blank_lines="drop").load()
    rows = [sum(len(one.splits[split]) for split in SPLITS) for one in (whole, found)]
    assert rows == [61, 60] and found.dropped == {"train": 1} and not whole.dropped
    (folder / "book.txt").write_text("one\n\ntwo\n")
    with pytest.raises(Refused, match=r"book\.txt"):
        dataset("text", path=str(folder / "book.txt"), blank_lines="drop").load()


def test_blanks_around_names_of_columns_do_not_count_nor_columns_without_a_name(folder):
    for split in SPLITS:
        (folder / f"{split}.csv").write_text("en, de ,,\na, b,,\n")
    assert list(pairs(folder).rows("train", ["source", "target"])) == [("a", " b")]


def test_typed_columns_must_hold_text(folder):
    table = pa.table({"en": ["a", None, " "], "de": ["b", "c\0", "d"], "n": [1, 2, 3], "l": [["a"], [], []]})
    parquet.write_table(table, folder / "all.parquet")
    one = {"splits": {"val": None, "test": None}, "val_fraction": 0.4, "test_fraction": 0.4}
    for changes, message in [
        ({}, r"row 2: no text in source"),
        ({"source": "de", "target": "en"}, r"row 2: a NUL in source"),
        ({"source": "n"}, r"row 1: int, not text, in source \(data\.source=n\)"),
        ({"source": "l"}, r"row 1: list, not text, in source \(data\.source=l\)"),
    ]:
        with pytest.raises(Refused, match=message):
            pairs(folder / "all.parquet", **one, **changes)


def test_places_without_the_files_say_what_they_hold_and_what_is_needed(folder):
    for split in SPLITS:
        write(folder, split, "lines", [("a", "b")])
    (folder / "parts").mkdir()
    for split in SPLITS:
        for part in range(2):
            (folder / "parts" / f"{split}-0000{part}-of-00002.tsv").write_text(f"en\tde\na{part}\tb{part}\n")
    assert pairs(folder / "parts").splits["test"]["source"][:] == ["a0", "a1"]
    with pytest.raises(Refused, match=r"data\.splits\.val=dev: no file .* it holds .*, val\.en; needed: dev\.en"):
        pairs(folder, splits={"val": "dev"})
    with pytest.raises(Refused, match=r"data\.path=.*nowhere is no folder"):
        pairs(folder / "nowhere")
    with pytest.raises(Refused, match=r"data\.splits\.val=val: .* is one table or text; use .*val_fraction"):
        write(folder, "all", "csv", [("a", "b")])
        pairs(folder / "all.csv")
    with pytest.raises(Refused, match=r"must be a table; valid endings: tsv, csv"):
        (folder / "all.md").write_text("a\n")
        pairs(folder / "all.md")
    write(folder, "train", "csv", [("a", "b")])
    with pytest.raises(Refused, match=r"data\.splits\.train=train: is it .*train\.en or .*train\.csv\?"):
        pairs(folder)
    (folder / "train.en").unlink()
    (folder / "train.de").unlink()
    write(folder, "train", "tsv", [("a", "b")])
    with pytest.raises(Refused, match=r"different kinds: train\.csv, train\.tsv"):
        pairs(folder)
    (folder / "train.tsv").unlink()
    (folder / "train.csv").unlink()
    os.mkfifo(folder / "train.en")
    with pytest.raises(Refused, match=r"train\.en: no plain file"):
        pairs(folder)


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("pairs", {"path": None}, "data.path=null and data.hub=null: say where"),
        ("pairs", {"hub": "owner/name"}, "data.path=folder and data.hub=owner/name: give one of them"),
        ("pairs", {"subset": "x"}, "data.subset=x: only a dataset of the hub has subsets"),
        ("pairs", {"splits": {"val": None}}, "data.splits.val=null and data.val_fraction=null: give one of them"),
        ("pairs", {"val_fraction": 0.1}, "data.splits.val=val and data.val_fraction=0.1: give one of them"),
        ("pairs", {"splits": {"val": "test"}}, "each split needs data of its own"),
        ("pairs", {"source": "../x"}, "without /"),
        ("pairs", {"source": "de"}, "source and target are both 'de'"),
        ("pairs", {"path": None, "hub": "../x"}, "such as owner/name"),
        ("text", {"streaming": True}, "data.streaming=true needs data.max_documents"),
        ("text", {"max_documents": 3}, "data.max_documents=3 needs data.streaming=true"),
        ("text", {"test_fraction": 0.0}, "a number between 0 and 0.5, or null"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_any_file_is_opened(name, changes, message):
    with pytest.raises(ValidationError, match=message):
        data_config(name, **{"path": "folder", **changes})


# Text.
NAMED = {"splits": {split: split for split in SPLITS}, "val_fraction": None, "test_fraction": None}


def test_one_text_is_cut_in_order_into_its_shares(folder):
    (folder / "a.txt").write_text("".join(chr(ord("a") + i % 26) for i in range(1000)))
    shares = {"val_fraction": 0.2, "test_fraction": 0.1}
    assert [len(texts(folder / "a.txt", split, **shares)[0]) for split in SPLITS] == [700, 200, 100]
    (folder / "a.txt").write_text("ab")
    with pytest.raises(Refused, match=r"data\.val_fraction: a text of 2 characters is too short"):
        texts(folder / "a.txt", "val")


@pytest.mark.parametrize("pattern", ["", "*.txt", "**/*.txt"])
def test_files_are_a_document_each_in_the_order_of_their_names(folder, pattern):
    for i in range(20):
        (folder / f"{i:02}.txt").write_text(f"document {i}\n")
    path = str(folder).replace("[", "[[]") + f"/{pattern}" if pattern else str(folder)
    found = texts(path, "train")
    order = [int(text.split()[1]) for text in found]
    assert order == sorted(order) and len(order) == 18


@pytest.mark.parametrize(
    "pattern", ["**", "*", "*.txt", "a/*", "**/b/*.t?t", "a/**/*.txt", "[ab]/**", "**/**/x.txt", "*/x.txt"]
)
def test_a_pattern_stands_for_the_files_that_glob_finds(folder, monkeypatch, pattern):
    monkeypatch.chdir(folder)
    for name in ("x.txt", "a/x.txt", "a/b/x.txt", "b/c/y.txt", ".hidden/x.txt", "a/.x.txt"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text("x\n")
    wanted = {Path(name) for name in glob.glob(pattern, recursive=True) if Path(name).is_file()}  # noqa: PTH207
    assert set(split_files(Path(pattern), dict.fromkeys(SPLITS))["train"][0].paths) == wanted


@pytest.mark.parametrize("pattern", ["/**", "/**/nothing.txt", "/*/*/*/*/*/*"])
def test_a_pattern_that_would_search_a_whole_disk_is_refused(monkeypatch, pattern):
    monkeypatch.setattr(files, "_MOST_LOOKED_AT", 1000)
    with pytest.raises(Refused, match="more than 1000 files and folders"):
        split_files(Path(pattern), dict.fromkeys(SPLITS))


@pytest.mark.parametrize("kind", ["jsonl", "csv", "txt", "txt.gz", "folders"])
def test_texts_have_splits_by_name(folder, kind):
    for split in SPLITS:
        content = f"of {split}\n".encode()
        if kind == "folders":
            (folder / split).mkdir()
            (folder / split / "a.txt").write_bytes(content)
        else:
            content = TABLES[kind]([("text",), (content.decode(),)]) if kind in TABLES else content
            (folder / f"{split}.{kind}").write_bytes(gzip.compress(content) if kind.endswith(".gz") else content)
    assert [texts(folder, split, **NAMED) for split in SPLITS] == [[f"of {split}\n"] for split in SPLITS]


@pytest.mark.parametrize("kind", ["jsonl", "csv", "txt", "parquet"])
def test_streaming_takes_the_first_documents_and_takes_them_once(folder, kind, monkeypatch):
    documents = [(f"d{i}",) for i in range(30)]
    if kind == "txt":
        for i, (text,) in enumerate(documents):
            (folder / f"{i:02}.txt").write_text(text)
    else:
        (folder / f"a.{kind}").write_bytes(TABLES[kind]([("text",), *documents]))
    first = {"streaming": True, "max_documents": 20}
    found = [text for split in SPLITS for text in texts(folder, split, **first)]
    assert sorted(found) == sorted(text for (text,) in documents[:20])
    if kind != "parquet":
        monkeypatch.setitem(reading._READERS, {"txt": "document"}.get(kind, kind), lambda *_: pytest.fail("read again"))
        assert [text for split in SPLITS for text in texts(folder, split, **first)] == found
        monkeypatch.undo()
    everything = [len(texts(folder, split, streaming=True, max_documents=10**6)) for split in SPLITS]
    assert sum(everything) == 30


def test_what_fails_while_it_is_read_leaves_nothing_behind(folder, empty_cache):
    (folder / "a.jsonl").write_text('{"text": "a"}\n{"text": null}\n')
    with pytest.raises(Refused, match=r"a\.jsonl, line 2: no text in text \(data\.column=text\)"):
        texts(folder, "train")
    assert list(empty_cache.iterdir()) == []


BAD_TEXTS = [
    (b"\xef\xbb\xbf \n\t\r\n", r"is empty"),
    (b"a\n" * 2**16 + b"b\xff", r"line 65537: not UTF-8 \(byte 2"),
    (b"a\xc3", r"not UTF-8"),
    (b"a\0", r"a NUL"),
    (b"a\rb", r"line 1: a carriage return inside"),
]


@pytest.mark.parametrize(("content", "message"), BAD_TEXTS)
def test_bad_text_is_refused_in_one_line(folder, content, message):
    (folder / "a.txt").write_bytes(content)
    with pytest.raises(Refused, match=rf"a\.txt.*{message}") as refusal:
        dataset("text", path=str(folder / "a.txt")).files()
    assert "\n" not in str(refusal.value)


def test_places_that_hold_no_text_are_refused(folder):
    for path in (folder / "nowhere.txt", folder):
        with pytest.raises(Refused, match=r"no file there; valid endings: txt, md, tsv"):
            texts(path, "train")
    (folder / "a.bin").write_text("x")
    with pytest.raises(Refused, match=r"cannot tell what .*a\.bin holds"):
        texts(folder / "a.bin", "train")
    (folder / "a.txt").write_text("x")
    with pytest.raises(Refused, match=r"data\.column=body: .*a\.txt is plain text"):
        texts(folder / "a.txt", "train", column="body")
    for split, more in {"train": {}, "val": {"val_fraction": None}}.items():
        with pytest.raises(Refused, match=rf"data\.splits\.{split}=dev: names of splits need a folder"):
            texts(folder / "a.txt", "train", splits={split: "dev"}, **more)
    with pytest.raises(Refused, match=r"data\.splits\.train=null: .* name its files of the train split"):
        texts(folder, "train", splits={"val": "a"}, val_fraction=None)
    with pytest.raises(Refused, match=r"data\.splits\.val=dev: no file for it .* it holds a\.bin, a\.txt"):
        texts(folder, "train", splits={"train": "a", "val": "dev"}, val_fraction=None)


@given(st.lists(st.sampled_from(["a", "ä", "\n", "\r\n", "\r", " ", "\u2028"]), min_size=1))
def test_a_text_is_read_as_python_reads_it_with_both_line_ends(tmp_path_factory, parts):
    file, content = tmp_path_factory.getbasetemp() / "read.txt", "".join(parts)
    file.write_bytes(content.encode())
    if "\r" in content.replace("\r\n", "\n"):
        with pytest.raises(Refused):
            list(reading._text(file))
    else:
        assert "".join(reading._text(file)) == content.replace("\r\n", "\n")
