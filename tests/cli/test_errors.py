"""Bad configs and bad usage: one line that names the key, the value and what would be valid; exit code 2; nothing written."""

import json
import subprocess
import sys

import pytest
from commands import environment

DRIVER = """
import contextlib, io, json, os, sys
from attncompare.cli import main
results = []
for arguments in json.load(sys.stdin):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main(arguments)
        except SystemExit as end:
            code = end.code or 0
    results.append([code, out.getvalue(), err.getvalue(), "torch" in sys.modules, os.listdir()])
print(json.dumps(results))
"""
# What is typed, and what the one line must name.
REFUSED = {
    "train attention=aditive": [
        "attention 'aditive'",
        "did you mean additive",
        "additive, causal, dot, multihead, scaled",
    ],
    "train task=translate": ["task 'translate'", "did you mean translation", "language_model, translation"],
    "train data=lcale": ["data 'lcale'", "did you mean locale", "pydocs"],
    "train backbone=recurrent": ["backbone 'recurrent'", "valid: transformer"],
    "train tracking=onlin": ["tracking 'onlin'", "did you mean online"],
    "train experiment=nope": ["experiment 'nope'", "five_variants"],
    "train attnetion=scaled": ["key 'attnetion'", "did you mean attention", "backbone"],
    "train attention.hedas=3": ["key 'attention.hedas'", "did you mean attention.heads", "attention.score"],
    "train +attention.hedas=3": ["key 'attention.hedas'", "did you mean attention.heads", "attention.score"],
    "train +data.tokenizer.size=3": ["key 'data.tokenizer.size'", "did you mean data.tokenizer.vocab_size"],
    "train +foo=1": ["key 'foo'", "valid: attention, backbone"],
    "train attention.heads.x=1": ["'attention.heads.x'", "no keys"],
    "train ~attention.heads": ["attention.heads: missing"],
    "train ~foo": ["'foo' does not exist"],
    "train attention.heads=0": ["attention.heads=0: must be a positive integer"],
    "train attention.heads=-1": ["attention.heads=-1: must be a positive integer"],
    "train attention.heads=abc": ["attention.heads=abc: must be a positive integer"],
    "train attention.heads=1.5": ["attention.heads=1.5: must be a positive integer"],
    "train attention.heads=true": ["attention.heads=true: must be a positive integer"],
    "train attention.heads=": ['attention.heads="": must be a positive integer'],
    "train attention.head_dim=0": ["attention.head_dim=0: must be a positive integer, or null"],
    "train attention.score=scled": ["attention.score", "'scled'", "did you mean scaled", "additive, dot, scaled"],
    "train attention.causal=maybe": ["attention.causal=maybe: must be true or false"],
    "train attention.dropout=1": ["attention.dropout=1: must be a number from 0 to below 1"],
    "train backbone.d_model=0": ["backbone.d_model=0: must be a positive integer"],
    "train backbone.layers=-2": ["backbone.layers=-2: must be a positive integer"],
    "train backbone.d_ff=0": ["backbone.d_ff=0: must be a positive integer"],
    "train backbone.positions=learnt": ["backbone.positions=learnt", "sinusoidal or learned", "did you mean learned"],
    "train data.batch_size=0": ["data.batch_size=0: must be a positive integer"],
    "train trainer.max_steps=0": ["trainer.max_steps=0: must be a positive integer"],
    "train optimizer.lr=fast": ["optimizer.lr=fast: must be a positive number"],
    "train optimizer.lr=inf": ["optimizer.lr", "must be a positive number"],
    "train optimizer.betas=0.9": ["optimizer.betas=0.9: must be a list"],
    "train seed=-1": ["seed=-1: must be an integer, 0 or more"],
    "train name=a/b": ["name=a/b: must be null, or 1 to 63 letters"],
    "train tags=[a/b]": ["tags.0=a/b: must be 1 to 63 letters"],
    "train runs=''": ['runs="": must not be empty'],
    "train attention.heads=0 backbone.layers=0": ["attention.heads=0: must be", "; backbone.layers=0: must be"],
    "train task=language_model task.causal=false": ["task.causal=false", "sees the future", "leave task.causal=true"],
    "train data=pydocs": ["data=pydocs", "task=translation", "pairs of sentences", "locale, reverse, pairs"],
    "train task=language_model data=locale": ["data=locale", "task=language_model", "pydocs, recall"],
    "train data=pairs": ["data.path=null", "data.path=FOLDER"],
    "train data.source=de": ["source and target are both 'de'"],
    "train data.tokenizer.vocab_size=null": ["data.tokenizer", "vocab_size"],
    "train seed": ["'seed'", "write key=value"],
    "train seed=[1": ["'seed=[1'", "with quotes around a value"],
    "train seed=${nothing}": ["seed", "'nothing' not found"],
    "train seed=1,2": ["seed=1,2", "-m"],
    "train -m seed=1,a": ["seed=a: must be an integer, 0 or more", "in the run seed=a"],
    "train -m attention=dot,scled seed=1,2": ["attention 'scled'", "did you mean scaled"],
    "train -m seed=1,2 hydra.launcher.workers=0": ["hydra.launcher.workers=0", "positive integer"],
    "train --mutirun": ["option '--mutirun'", "did you mean --multirun"],
    "train --config-dir=elsewhere": ["option '--config-dir'"],
    "": ["which command?", "train", "compare", "reproduce", "attend", "--help"],
    "trian seed=1": ["command 'trian'", "did you mean train"],
    "compare": ["RUN", "attncompare compare --help"],
    "attend run sentence --layer x": ["--layer", "'x'"],
    "reproduce": ["RUN"],
    "translate": ["RUN", "attncompare translate --help"],
    "translate run --beam x": ["--beam", "'x'"],
    "translate run --checkpoint bst": ["--checkpoint", "best", "last", "averaged"],
    "generate run": ["--prompt"],
    "evaluate run --split train": ["--split", "val", "test"],
}
HELPED = {
    "--help": ["train", "compare", "reproduce", "attend"],
    "train --help": ["attention: additive, causal, dot, multihead, scaled", "-m", "--cfg job"],
    "compare --help": ["RUN", "--html", "--force"],
    "reproduce --help": ["RUN"],
    "attend --help": ["RUN", "sentence", "--layer", "--head", "--html"],
    "translate --help": ["RUN", "FILE", "--beam", "--n-best", "--length-penalty", "--maps", "--checkpoint"],
    "generate --help": ["RUN", "--prompt", "--temperature", "--top-k", "--top-p", "--seed", "--samples"],
    "evaluate --help": ["RUN", "--data", "--split", "--beam", "--json", "--checkpoint"],
    "train --cfg job": ["score: scaled", "seed: 1"],
    "train --cfg job -p optimizer": ["name: adamw"],
}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("refused")
    lines = [*REFUSED, *HELPED]
    done = subprocess.run(
        [sys.executable, "-c", DRIVER],
        input=json.dumps([line.replace("''", "").split() if line else [] for line in lines]),
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return dict(zip(lines, json.loads(done.stdout), strict=True))


@pytest.mark.parametrize("line", REFUSED)
def test_it_is_refused_in_one_line_before_torch_is_imported(results, line):
    code, out, err, torch_imported, files = results[line]
    assert err.startswith("error: ") and err.count("\n") == 1, err
    for words in REFUSED[line]:
        assert words in err
    assert code == 2
    assert out == ""
    assert not torch_imported
    assert files == []


@pytest.mark.parametrize("line", HELPED)
def test_help_comes_without_torch(results, line):
    code, out, err, torch_imported, files = results[line]
    assert (code, err) == (0, "")
    for words in HELPED[line]:
        assert words in out
    assert not torch_imported
    assert files == []
