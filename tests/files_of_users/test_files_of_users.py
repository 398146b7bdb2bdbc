"""Files as people have them, the smallest of each kind beside this test: what is in them arrives, string by string."""

import os
import shutil
import subprocess
import sys
from itertools import chain
from pathlib import Path

import pytest
from commands import composed_config, environment
from training_runs import NO_TRACKING

import attncompare
from attncompare.compare.statistics.items import read_items
from attncompare.data.corpora import load_corpus
from attncompare.data.dataset import SPLITS
from attncompare.tasks.metrics import Bleu
from attncompare.training.run import train

HERE = Path(__file__).parent
# Three targets of one source, and what a reader could take for nothing, a number, a date, a quotation, a separator, a line
# end or a special token.
PAIRS = [
    *(("Go.", "Geh."), ("Go.", "Geh!"), ("Go.", "Los, geh."), ("Hi there.", "Hallo du."), ("Hi there.", "Hi.")),
    *(("null", "NA"), ("nan", "None"), ("007", "1.50"), ("true", "1e5"), ("2020-01-01", "12:30:00")),
    *(('"Hello, he said', '5" disk'), ("it's 'so'", '""'), ("a; b, c", "d | e; f"), ("=1+1", "#N/A")),
    *(("line\u2028separator", "next\x85line"), ("form\x0cfeed", "tab\x0bular"), ("\ufeffmark inside", "no\u00a0break")),
    *(
        ("<pad> </s> [MASK]", "▁ Ġ <unk>"),
        ("cafe\u0301", "café"),
        ("שלום", "مرحبا"),
        ("👩🏽‍🚀", "\u200dzero\u200bwidth"),
    ),
]
NAMED = {"train": PAIRS[:15], "val": PAIRS[15:17], "test": PAIRS[17:]}
SHARES = ("data.splits.val=null", "data.val_fraction=0.2", "data.splits.test=null", "data.test_fraction=0.2")
NAMES = ("data.source=english", "data.target=german")
NUMBERS = ("data.source=0", "data.target=1")
FILES = {
    "deu.txt": (*NUMBERS, *SHARES),
    "deu.tsv": (*NUMBERS, *SHARES),
    "header.txt": ("data.source=2", "data.target=0", "data.header=yes", *SHARES),
    "spreadsheet.csv": (*NAMES, *SHARES),
    "pipes.csv": (*NUMBERS, "data.separator=pipe", *SHARES),
    "list.json": (*NAMES, *SHARES),
    "object.json": (*NAMES, "data.field=data", *SHARES),
    "rows.jsonl": (*NAMES, *SHARES),
    "saved": (*NAMES, *SHARES),
    "saved_splits": NAMES,
    "snapshot": ("data.source=translation.en", "data.target=translation.de"),
    "lines": (),
}
TABLES = {
    "deu.txt": {"separator": "tab", "header": False},
    "deu.tsv": {"separator": "tab", "header": False},
    "header.txt": {"separator": "tab", "header": True},
    "spreadsheet.csv": {"separator": "semicolon", "header": True},
    "pipes.csv": {"separator": "pipe", "header": False},
}
OTHER_NAMES = {"saved_splits": ("validation", "test"), "snapshot": ("dev", "test"), "lines": ("valid", "eval")}
SMALL = (
    *(
        "trainer=smoke",
        "trainer.max_steps=2",
        "trainer.threads=1",
        "data.batch_size=4",
        *NO_TRACKING,
        "tracking.probes=4",
    ),
    *(
        "backbone.d_model=8",
        "backbone.layers=1",
        "backbone.d_ff=8",
        "task.max_length=32",
        "data.tokenizer.vocab_size=900",
    ),
)


def arrived(config):
    corpus = load_corpus(config.data, config.data_seed)
    return {split: list(corpus.rows(split, corpus.splits[split].column_names)) for split in SPLITS}


@pytest.mark.parametrize("name", FILES)
def test_every_pair_arrives_as_it_was_written_and_is_trained_on(name, tmp_path):
    config = composed_config(tmp_path, ["data=pairs", f"data.path={HERE / name}", *FILES[name], *SMALL])
    found = arrived(config)
    if name in OTHER_NAMES:
        assert found == NAMED
    else:
        assert sorted(chain(*found.values())) == sorted(PAIRS) and all(found.values())
        sources = [{source for source, _ in found[split]} for split in SPLITS]
        assert sum(map(len, sources)) == len(set.union(*sources))  # each source in one split
    said = []
    run = train(config, on_message=said.append)
    assert run.state == "finished" and run.summary["steps"] == 2
    origin = run.summary["data"]["origin"]
    assert origin.get("tables", {}).get("train") == TABLES.get(name)
    named = dict(zip(SPLITS, ("train", *OTHER_NAMES[name]), strict=True)) if name in OTHER_NAMES else None
    assert origin.get("splits") == named
    assert any("data.tokenizer.vocab_size=900: the train split gives" in line for line in said)
    assert any("tracking.probes=4: val holds" in line for line in said) == (len(found["val"]) < 4)
    # An item of the test is a source, of which all targets are references.
    sources = list(dict.fromkeys(source for source, _ in found["test"]))
    assert name in OTHER_NAMES or "Go." in sources  # which has three
    assert f"nrefs:{1 if name in OTHER_NAMES else 'var'}|" in run.summary["signatures"]["bleu"]
    answers = run.predictions()
    assert [answer["source"] for answer in answers] == sources
    for answer in answers:
        references = [text for key, text in answer.items() if key.startswith("reference")]
        assert references == [target for source, target in found["test"] if source == answer["source"]]
    assert len(read_items(Bleu, run.items()).ids) == len(sources)


@pytest.mark.parametrize("name", ["list.json", "rows.jsonl", "spreadsheet.csv", "saved_splits"])
def test_every_text_arrives_as_it_was_written(name, tmp_path):
    shares = ("data.val_fraction=0.2", "data.test_fraction=0.2")
    task = ("task=language_model", "data=text", f"data.path={HERE / name}", "data.column=german")
    found = arrived(composed_config(tmp_path, [*task, *shares]))
    pairs = NAMED["train"] if name in OTHER_NAMES else PAIRS  # as on the hub, where splits have names
    assert sorted(text for rows in found.values() for (text,) in rows) == sorted(target for _, target in pairs)


COMMANDS = """
import sys
from attncompare.cli import main
from pathlib import Path
folder, *training = sys.argv[1:]
code = main(["train", *training])
(run,) = Path(folder, "runs").glob("*/*")
sys.exit(code or main(["translate", str(run), f"{folder}/train.en", "--beam", "1"]))
"""


def test_commands_work_without_a_locale_in_optimized_python_and_in_any_folder(tmp_path):
    folder = tmp_path / "my files, größe=1"
    shutil.copytree(HERE / "lines", folder)
    variables = {**environment(tmp_path), "LC_ALL": "C", "PYTHONOPTIMIZE": "1", "ATTNCOMPARE_NATIVE": "0"}
    training = ("data=pairs", f"data.path='{folder}'", f"runs='{folder / 'runs'}'", *SMALL)
    done = subprocess.run(
        [sys.executable, "-c", COMMANDS, str(folder), *training],
        cwd=tmp_path,
        env=variables,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    path, *translations = done.stdout.decode().split("\n")
    assert "note: tracking.probes=4: val holds 2 examples" in done.stderr.decode()
    expected = attncompare.load(path).translate([source for source, _ in NAMED["train"]], beam=1)
    assert translations == [*(one.text for one in expected), ""]


def test_online_without_a_login_is_refused_in_one_line(refused, monkeypatch, tmp_path):
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    line = refused("train", "data=pairs", f"data.path='{HERE / 'lines'}'", *SMALL, "tracking=online")
    assert "tracking=online" in line and "wandb login" in line and not Path("runs").exists()
