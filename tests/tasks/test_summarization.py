"""Summaries, beside what needs no model, of data with the columns of published corpora."""

import csv
import json
import os
import re
import shlex
from pathlib import Path

import datasets
import pytest
from commands import SMOKE
from training_runs import NO_TRACKING

from attncompare.compare import as_text, compare_groups
from attncompare.data.module import DataModule
from attncompare.tasks.metrics import Rouge1, Rouge2, RougeL, metrics_of
from attncompare.tasks.summarization import lead
from attncompare.training.run import train

SMALL = (*(word for word in SMOKE if not word.startswith("data")), *NO_TRACKING, "trainer.limit_batches=null")
# The columns of XSum (Narayan et al. 2018) and of CNN/DailyMail (See et al. 2017) as the hub has them.
PUBLISHED = {"xsum": ("document", "summary"), "cnn_dailymail": ("article", "highlights")}
VERBS = ("returns", "reads", "closes", "writes")


def rows_of(split, columns, count=30):
    text, summary = columns
    return [
        {
            "id": f"{split}{row}",
            text: f"The file {row} {VERBS[row % 4]} in {split}. It is large,\nand nobody reads it.",
            summary: f"File {row} {VERBS[row % 4]}.",
        }
        for row in range(count)
    ]


def write(folder, kind, columns):
    for split in ("train", "validation", "test"):
        rows, file = rows_of(split, columns), folder / f"{split}.{kind}"
        if kind == "jsonl":
            file.write_text("".join(json.dumps(row) + "\n" for row in rows))
        elif kind == "parquet":
            datasets.Dataset.from_list(rows).to_parquet(file)
        else:
            with file.open("w", newline="") as opened:
                writer = csv.DictWriter(opened, rows[0])
                writer.writeheader()
                writer.writerows(rows)


def own_data(folder, columns, *more):
    names = (f"data.source={columns[0]}", f"data.target={columns[1]}", "data.tokenizer.vocab_size=300")
    return ("task=summarization", "data=pairs", f"data.path={folder}", *names, "data.batch_size=10", *SMALL, *more)


@pytest.mark.parametrize(("name", "kind"), [("xsum", "jsonl"), ("cnn_dailymail", "csv"), ("cnn_dailymail", "parquet")])
def test_published_columns_train_and_stand_beside_lead_1(make_config, tmp_path, name, kind):
    write(tmp_path, kind, PUBLISHED[name])
    run = train(make_config(*own_data(tmp_path, PUBLISHED[name]), "task.metrics=[rouge1,rouge2,rougeL,bleu,loss]"))
    rows = run.predictions()
    assert len(rows) == 30 and rows[0]["reference"] == "File 0 returns."
    assert rows[0]["source"].endswith("It is large,\nand nobody reads it.")
    for metric in (Rouge1, Rouge2, RougeL):
        for answers, found in (
            ([row["prediction"] for row in rows], run.summary["test"]),
            ([f"The file {row} {VERBS[row % 4]} in test." for row in range(30)], run.summary["baselines"]["lead-1"]),
        ):
            scored = metric()
            scored.update(answers, [row["reference"] for row in rows], list(range(30)))
            assert found[metric.name] == pytest.approx(scored.compute().item())
    assert set(run.summary["baselines"]["lead-1"]) == {"rouge1", "rouge2", "rougeL", "bleu"}
    assert all(len(row[metric]) == 2 for row in run.items() for metric in ("rouge1", "rouge2", "rougeL"))
    said = " ".join(as_text(compare_groups([run])).split())
    assert f"lead-1: ROUGE-1 {run.summary['baselines']['lead-1']['rouge1']:.2f}" in said


def test_a_run_says_what_needs_no_model_on_standard_error(cli, tmp_path):
    write(tmp_path, "jsonl", PUBLISHED["xsum"])
    code, _, err = cli("train", *own_data(tmp_path, PUBLISHED["xsum"]))
    assert code == 0 and "lead-1: ROUGE-1" in err


def test_of_long_texts_the_beginning_is_read_in_training_too_and_long_summaries_are_left_out(make_config, tmp_path):
    (tmp_path / "train.tsv").write_text(f"{'a ' * 30}b\tc\nshort\t{'c ' * 30}d\nshort\tc\n")
    for split in ("val", "test"):
        (tmp_path / f"{split}.tsv").write_text("a a\tc\n")
    counts = {}
    for cut in ("true", "false"):
        config = make_config(*own_data(tmp_path, ("0", "1")), "task.max_length=16", f"task.cut_sources={cut}")
        data = DataModule(config)
        data.prepare()
        counts[cut] = data.report["train"]["left_out"], data.report["train"]["truncated"]
    assert counts == {"true": (1, 1), "false": (2, 0)}


@pytest.mark.parametrize("empty", ["document", "summary"])
def test_an_empty_side_is_refused_with_its_row(refused, tmp_path, empty):
    write(tmp_path, "jsonl", PUBLISHED["xsum"])
    rows = rows_of("test", PUBLISHED["xsum"])
    rows[4][empty] = " "
    (tmp_path / "test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    line = refused("train", *own_data(tmp_path, PUBLISHED["xsum"]))
    assert "test.jsonl" in line and " 5" in line and empty in line and "data.keep_empty" in line
    assert not os.listdir()  # noqa: PTH208  (the folder of the command)


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("One thing. Another.", "One thing."),
        ('He said "no." Then left.', 'He said "no."'),
        ("Version 3.11 is out! Really.", "Version 3.11 is out!"),
        ("def f(x: int) -> str:\nreturn x", "def f(x: int) -> str:"),
        ("一つ。二つ。", "一つ。"),
        ("no end", "no end"),
        ("", ""),
    ],
)
def test_lead_1_is_the_first_sentence_or_line(text, first):
    assert lead(text) == first


def test_the_page_shows_how_questions_and_answers_are_pairs(make_config, tmp_path):
    page = (Path(__file__).parents[2] / "docs" / "data.md").read_text().partition("## Questions and answers")[2]
    rows = re.search(r"^```json\n(.*?)^```", page, re.MULTILINE | re.DOTALL)[1]
    command = re.search(r"^attncompare train (.*)$", page, re.MULTILINE)[1].replace("FOLDER", str(tmp_path))
    for split in ("train", "val", "test"):
        (tmp_path / f"{split}.jsonl").write_text(rows * 3)
    small = (*SMALL, "data.tokenizer.vocab_size=270", "data.batch_size=2", "task.max_length=200")
    run = train(make_config(*shlex.split(command), *small))
    assert [row["reference"] for row in run.predictions()] == ["on the mat", "the cat"]
    assert next(iter(metrics_of(run.config))) == "exact_match"
