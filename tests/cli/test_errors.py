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
    "train attention=aditive": ["attention 'aditive'", "did you mean additive", "causal", "multihead"],
    "train task=translate": ["task 'translate'", "did you mean translation"],
    "train data=lcale": ["data 'lcale'", "did you mean locale", "pydocs"],
    "train backbone=recurent": ["backbone 'recurent'", "valid: "],
    "train experiment=nope": ["experiment 'nope'", "five_variants"],
    "train attnetion=scaled": ["key 'attnetion'", "did you mean attention", "backbone"],
    "train attention.hedas=3": ["key 'attention.hedas'", "did you mean attention.heads"],
    "train +attention.hedas=3": ["key 'attention.hedas'", "did you mean attention.heads"],
    "train +foo=1": ["key 'foo'", "valid: attention, backbone"],
    "train attention.heads.x=1": ["'attention.heads.x'", "no keys"],
    "train ~attention.heads": ["attention.heads", "missing"],
    "train ~foo": ["'foo'"],
    "train attention.heads=0": ["attention.heads=0", "positive integer"],
    "train attention.heads=1.5": ["attention.heads=1.5", "positive integer"],
    "train attention.heads=": ["attention.heads=", "positive integer"],
    "train attention.head_dim=0": ["attention.head_dim=0", "positive integer, or null"],
    "train attention.score=scled": ["attention.score", "'scled'", "did you mean scaled"],
    "train attention.causal=maybe": ["attention.causal=maybe", "true or false"],
    "train attention.dropout=1": ["attention.dropout=1", "from 0 to below 1"],
    "train optimizer.lr=fast": ["optimizer.lr=fast", "positive number"],
    "train optimizer.lr=inf": ["optimizer.lr", "positive number"],
    "train optimizer.betas=0.9": ["optimizer.betas=0.9", "list"],
    "train seed=-1": ["seed=-1", "integer, 0 or more"],
    "train name=a/b": ["name=a/b", "letters"],
    "train tags=[a/b]": ["tags.0=a/b", "letters"],
    "train runs=''": ["runs=", "must not be empty"],
    "train trainer.max_steps=0 optimizer.lr=0": ["trainer.max_steps=0", "optimizer.lr=0"],
    "train seed": ["'seed'", "key=value"],
    "train seed=[1": ["'seed=[1'", "quotes"],
    "train seed=${nothing}": ["seed", "'nothing'"],
    "train seed=1,2": ["seed=1,2", "-m"],
    "train --mutirun": ["option '--mutirun'", "did you mean --multirun"],
    "train --config-dir=elsewhere": ["--config-dir elsewhere", "no folder"],
    "train --config-dir .": ["--config-dir .", "attention", "experiment"],
    "train --config-dir": ["--config-dir", "folder of own configs"],
    "train --config-dir . --resume run": ["--config-dir", "record"],
    # Of Hydra, with what does the same here.
    "train --config-name=mine": ["--config-name", "experiment=NAME"],
    "train -cn mine": ["-cn", "experiment=NAME"],
    "train --config-path mine": ["--config-path", "--config-dir DIR"],
    "train --info": ["--info", "--cfg job"],
    "train --package optimizer": ["--package", "--cfg job"],
    "train -m hydra.sweeper.max_runs=2": ["hydra.sweeper.max_runs", "sweep.max_time"],
    "train -i defaults": ["-i", "--cfg job"],
    "train hydra.verbose=true": ["hydra.verbose", "trainer.log_every"],
    "train hydra.run.dir=elsewhere": ["hydra.run.dir", "runs=FOLDER"],
    "train hydra.sweep.dir=elsewhere": ["hydra.sweep.dir", "runs=FOLDER"],
    "train hydra.job.chdir=true": ["hydra.job.chdir", "runs=FOLDER"],
    "train hydra.searchpath=[conf]": ["hydra.searchpath", "--config-dir DIR"],
    "train hydra/sweeper=optuna": ["hydra/sweeper", "docs/sweeps.md"],
    "": ["which command?", "train", "compare", "--help"],
    "trian seed=1": ["command 'trian'", "did you mean train"],
    "compare": ["RUN", "attncompare compare --help"],
    "attend run sentence --layer x": ["--layer", "'x'"],
    "dashboard runs --port 65536": ["--port", "65536", "65535"],
    "translate run --checkpoint bst": ["--checkpoint", "best", "last", "averaged"],
    "generate run --top-k x": ["--top-k", "'x'"],
    "evaluate run --split train": ["--split", "val", "test"],
}
# What is known only once the parts that it names are imported.
REFUSED_BY_PARTS = {
    "train -m attention=dot,scled seed=1,2": ["attention 'scled'", "did you mean scaled"],
    "train -m seed=1,a": ["seed=a", "integer, 0 or more", "in the run seed=a"],
    "train task=language_model data=locale": ["data=locale", "task=language_model", "pydocs"],
    "train data=pairs": ["data.path", "FOLDER"],
    "train -m seed=1,2 hydra.launcher.workers=0": ["hydra.launcher.workers=0", "positive integer"],
}
HELPED = {
    "--help": [
        *("train", "sweeps", "compare", "reproduce", "attend", "translate", "generate", "evaluate", "dashboard"),
        *("heads", "ablate", "wandb-report"),
    ],
    "train --help": ["attention: additive, additive_cross, alibi", "-m", "--cfg job"],
    "compare --help": ["RUN", "--html", "--force"],
    "reproduce --help": ["RUN"],
    "attend --help": ["RUN", "sentence", "--layer", "--head", "--html"],
    "translate --help": ["RUN", "FILE", "--beam", "--n-best", "--length-penalty", "--maps", "--checkpoint"],
    "generate --help": ["RUN", "--prompt", "--temperature", "--top-k", "--top-p", "--seed", "--samples"],
    "heads --help": ["RUN", "--sentences", "--json", "--checkpoint"],
    "ablate --help": ["RUN", "--with", "--split", "--sentences", "--mask", "--sentence", "--html", "--json"],
    "evaluate --help": ["RUN", "--data", "--split", "--beam", "--json", "--checkpoint"],
    "train --cfg job": ["score: scaled", "seed: 1"],
    "train --cfg job -p optimizer": ["name: adamw"],
    "train --cfg job +experiment=shakespeare": ["name: tinyshakespeare"],
    "train --cfg job ++attention=dot +trainer=cpu": ["name: dot", "accelerator: cpu"],
}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("refused")
    lines = [*REFUSED, *HELPED, *REFUSED_BY_PARTS]
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


@pytest.mark.parametrize("line", [*REFUSED, *REFUSED_BY_PARTS])
def test_it_is_refused_in_one_line_before_torch_is_imported(results, line):
    code, out, err, torch_imported, files = results[line]
    assert err.startswith("error: ") and err.count("\n") == 1, err
    for words in (REFUSED | REFUSED_BY_PARTS)[line]:
        assert words in err
    assert code == 2
    assert out == ""
    assert not torch_imported or line in REFUSED_BY_PARTS
    assert [file for file in files if not file.startswith(".")] == []  # libraries have their caches


@pytest.mark.parametrize("line", HELPED)
def test_help_comes_without_torch(results, line):
    code, out, err, torch_imported, files = results[line]
    assert (code, err) == (0, "")
    for words in HELPED[line]:
        assert words in out
    assert not torch_imported
    assert files == []
