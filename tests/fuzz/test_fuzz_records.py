"""A record of which any byte was changed gives the right answer or a clear refusal: never another answer or exception."""

import contextlib
import io
import os
import shutil
import signal

import pytest
import yaml
from cases import cases
from commands import SMOKE, composed_config
from damage import KINDS, Damage, damaged, damages
from hypothesis import strategies as st

from attncompare.cli import main
from attncompare.errors import Refused
from attncompare.inference.trained import load
from attncompare.maps import maps_of
from attncompare.record import Run, write_yaml
from attncompare.reproduce.sources import facts_of
from attncompare.reproduce.verdict import compare
from attncompare.training.checkpoint import newest_checkpoint
from attncompare.training.run import train

READ = (
    *("manifest.json", "summary.json", "config.yaml", "environment.json", "metrics.csv", "predictions.jsonl"),
    *("heads.csv", "items.jsonl", "tokenizer.json", "maps/step-0000002.npz", "checkpoints/best.safetensors"),
)
LONGEST = 120  # seconds that one case may take before it counts as hanging


@pytest.fixture(autouse=True)
def never_a_hang():
    """Turn what never ends into a failure."""

    def end(number, frame):
        raise TimeoutError("a reader hangs")

    before = signal.signal(signal.SIGALRM, end)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def copied(finished_run, tmp_path):
    """A finished run's folder, to be damaged, with a second one beside it that is whole."""
    for name in ("record", "whole"):
        shutil.copytree(finished_run.path, tmp_path / name, ignore=shutil.ignore_patterns("wandb"))
    return tmp_path / "record"


def plain_maps(run):
    sites = [(step, probe, site) for step, probes in maps_of(run) for probe in probes for site in probe.sites]
    return [
        (step, probe.probe, probe.text, site.site, site.queries, site.keys, site.weights_LHTS.tobytes())
        for step, probe, site in sites
    ]


def plain_model(folder):
    trained = load(folder)
    weights = {name: value.numpy().tobytes() for name, value in trained.task.state_dict().items()}
    return weights, trained.tokenizer.encode("abc xyz").ids, trained.tokenizer.decode(range(4, 20))


def reproduced(folder):
    comparison = compare(facts_of(Run.open(folder)), facts_of(Run.open(folder.parent / "whole")))
    return comparison.verdict, comparison.not_compared


READERS = {
    "summary": lambda folder: Run.open(folder).require_finished().summary,
    "config": lambda folder: Run.open(folder).config.to_dict(),
    "metrics": lambda folder: Run.open(folder).metrics(),
    "heads": lambda folder: Run.open(folder).heads(),
    "environment": lambda folder: Run.open(folder).environment(),
    "predictions": lambda folder: Run.open(folder).predictions(),
    "items": lambda folder: Run.open(folder).items(),
    "maps": lambda folder: plain_maps(Run.open(folder)),
    "model": plain_model,
    "reproduce": reproduced,
}


def answer(reader, folder):
    """Return what a reader says: its answer, or that it was refused in one line that names the file or folder."""
    try:
        return repr(READERS[reader](folder))
    except Refused as error:
        assert str(folder) in str(error) and "\n" not in str(error), str(error)
        return "refused"


@pytest.fixture
def right(copied):
    """What every reader says of the record while it is whole."""
    answers = {reader: answer(reader, copied) for reader in READERS}
    assert "refused" not in answers.values()
    return answers


@cases(quick=40, long=2_000, damage=damages(READ))
def test_every_reader_gives_the_right_answer_or_refuses(copied, right, damage):
    signal.alarm(LONGEST)
    with damaged(copied, damage):
        for reader, expected in right.items():
            assert answer(reader, copied) in (expected, "refused"), reader


def compared(folder, page):
    """Return exit code, table and page of `attncompare compare FOLDER`, and what it says to standard error."""
    page.unlink(missing_ok=True)
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(["compare", str(folder), "--html", str(page)])
    return code, (out.getvalue(), page.read_bytes() if page.exists() else b""), err.getvalue()


@pytest.fixture
def table(copied, monkeypatch):
    """What the command says of the folder that holds the record and the whole one, while both are whole."""
    monkeypatch.setitem(os.environ, "COLUMNS", "300")
    found = compared(copied.parent, copied.parent / "page.html")
    assert found[0] == 0
    return found


def require_right(copied, table, damage):
    """The same as before, or the record is said to be left out, or the command ends with 2 and one line."""
    with damaged(copied, damage):
        code, shown, err = found = compared(copied.parent, copied.parent / "page.html")
    if code == 0:
        said, page = " ".join(shown[0].split()), shown[1].decode()
        assert found == table or ("left out" in said and copied.name in said and copied.name in page)
    else:
        assert (code, shown, err.count("\n")) == (2, ("", b""), 1) and err.startswith("error: "), err


@cases(quick=8, long=200, damage=damages(READ))
def test_the_command_compares_rightly_or_says_what_it_left_out(copied, table, damage):
    signal.alarm(LONGEST)
    require_right(copied, table, damage)


@pytest.mark.parametrize("file", READ)
def test_a_record_without_a_file_is_not_passed_over(copied, table, file):
    require_right(copied, table, Damage("delete", file, 0.0, b"", file))


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """The folder of a run that was stopped after its third step, with its checkpoint."""
    home = tmp_path_factory.mktemp("stopped")
    small = ("trainer.max_steps=5", "trainer.validate_every=1", "tracking=disabled", "tracking.images=0")
    return train(composed_config(home / "runs", [*SMOKE, *small]), stop_after=3).path


def newest(folder):
    """Return name and content of the newest whole checkpoint."""
    found = newest_checkpoint(folder)
    return None if found is None else (found[0].name, repr(found[1]))


@pytest.fixture(scope="module")
def states(stopped):
    """What the two checkpoints hold, the newest first."""
    first = newest(stopped)
    shutil.copy(stopped / "checkpoints" / first[0], stopped / "checkpoints" / "resume-0000000.ckpt")
    file = stopped / "checkpoints" / first[0]
    file.rename(stopped / "newer")
    second = newest(stopped)
    (stopped / "newer").rename(file)
    assert first[0] > second[0]
    return first, second


@cases(quick=25, long=2_000, damage=damages((0, 1), (*KINDS[:7], "swap", "empty")))
def test_a_damaged_checkpoint_is_noticed_and_the_one_before_it_used(stopped, states, damage):
    names = [f"checkpoints/{name}" for name, _ in states]
    signal.alarm(LONGEST)
    with damaged(stopped, damage._replace(file=names[damage.file], other=names[damage.other])) as changed:
        found = newest(stopped)
    contents = [content for _, content in states]
    assert found is not None and found[1] in contents
    if not changed or (damage.file == 1 and damage.kind != "swap"):
        assert found == states[0]


@cases(quick=100, long=2_000, text=st.text() | st.sampled_from(("\x85", "\u2028", "a\r\nb", "\ufeff", "~")))
def test_any_text_comes_back_from_a_record_as_it_was(tmp_path, text):
    path = tmp_path / "file"
    write_yaml(path, {"notes": text, "prompts": [text]})
    assert yaml.safe_load(path.read_bytes()) == {"notes": text, "prompts": [text]}
