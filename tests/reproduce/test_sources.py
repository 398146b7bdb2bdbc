"""What a person may type, what it means, and what is refused in one line."""

import math
import shutil
from pathlib import Path

import pytest
import wandb

from attncompare.errors import Refused
from attncompare.record import pack
from attncompare.reproduce import sources
from attncompare.reproduce.sources import facts_of, find, references
from attncompare.reproduce.verdict import compare


@pytest.fixture
def reference(recorded, tmp_path, monkeypatch):
    """A checkout that comes with the archive of one run."""
    (tmp_path / "reference").mkdir()
    pack([recorded.path], tmp_path / "reference" / "small_one.tar.xz")
    monkeypatch.setattr(sources, "REFERENCES", tmp_path / "reference")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


def refused(record, unfinished=False):
    with pytest.raises(Refused) as refusal:
        find(str(record), unfinished)
    assert str(refusal.value).isprintable()
    return str(refusal.value)


def test_a_run_is_its_folder_and_the_config_in_it(recorded):
    by_folder, by_config = (find(str(path), False).runs for path in (recorded.path, recorded.path / "config.yaml"))
    assert by_folder == by_config == [facts_of(recorded)]
    assert by_folder[0].values == recorded.config.to_dict()
    assert by_folder[0].final.keys() >= {"val", "test", "weights_sha256", "predictions", "items"}


@pytest.mark.parametrize("name", ["reference/small_one", "small_one", "reference/small_one/reverse-scaled-s1"])
def test_a_name_is_a_record_that_comes_with_the_code(reference, recorded, name):
    (facts,) = find(name, False).runs
    assert facts.source == "reference/small_one/reverse-scaled-s1"
    assert compare(facts_of(recorded), facts).verdict == "identical"


def test_a_path_that_exists_comes_before_a_name(reference):
    Path("small_one").mkdir()
    assert "neither a run nor a folder that holds runs" in refused("small_one")


def test_an_unknown_name_lists_those_that_there_are(reference):
    assert references() == ["small_one"]
    assert "did you mean reference/small_one?" in refused("reference/smal_one")
    assert "reverse-scaled-s1" in refused("reference/small_one/other")


@pytest.mark.parametrize(
    "name", ["reference/..", "reference/../../here", "..small_one", "", "reference/", "a\0b", "x" * 5000]
)
def test_a_name_leads_nowhere_else(reference, name):
    assert "no such folder" in refused(name)


def test_a_path_with_a_slip_is_not_looked_for_on_the_network(tmp_path, monkeypatch):
    (tmp_path / "runs").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(wandb, "Api", lambda **_: pytest.fail("it asked the network"))
    assert "runs/2026-01-01/typo: no such folder" in refused("runs/2026-01-01/typo")


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("run.txt", b"", "neither a folder nor a config"),
        ("a.yaml", b"", "no config"),
        ("a.yaml", b"a: [", "a.yaml"),
        ("a.yaml", b"a: !!python/object/apply:os.system ['touch canary']", "a.yaml"),
        ("a.yaml", b"\xff\xfe", "a.yaml"),
    ],
)
def test_a_file_that_is_nothing_of_the_kind(tmp_path, monkeypatch, name, content, words):
    monkeypatch.chdir(tmp_path)
    Path(name).write_bytes(content)
    assert words in refused(name)
    assert not Path("canary").exists()


def test_a_config_of_which_nothing_was_recorded(recorded, tmp_path):
    shutil.copy(recorded.path / "config.yaml", tmp_path / "config.yaml")
    found = find(str(tmp_path / "config.yaml"), False)
    assert (found.runs, found.values) == ([], recorded.config.to_dict())


def test_links_are_not_followed_out_of_a_record(edited, tmp_path):
    folder = edited().path
    (tmp_path / "secret").write_text("secret: true")
    (folder / "config.yaml").unlink()
    (folder / "config.yaml").symlink_to(tmp_path / "secret")
    assert "secret: true" not in refused(folder)
    (tmp_path / "dangling.yaml").symlink_to(tmp_path / "nowhere")
    assert "dangling.yaml" in refused(tmp_path / "dangling.yaml")


def test_unfinished_runs(edited, tmp_path):
    for name in ("one", "two"):
        run = edited(f"sweep/{name}")
        run.unfinished(rows=9)
    assert "none of its 2 runs" in refused(tmp_path / "sweep")
    assert "is failed, not finished: the cat sat on it" in refused(run.path)
    (facts,) = find(str(run.path), True).runs
    assert (facts.state, facts.final, len(facts.rows)) == ("failed", {}, 9)


class Answers:
    """What W&B's server says of one run, as its API gives it."""

    def __init__(self, facts):
        self.config = {**facts.values, "_wandb": {"value": {}}}
        test = {f"test/{key}": value for key, value in facts.final["test"].items()}
        extra = {"weights_sha256": facts.final["weights_sha256"], "threads": 1, "data_fingerprint": "d" * 64}
        self.summary_metrics = {**test, **extra, "state": "finished", "val/loss": {"min": 1.0}, "_step": 12}
        self.rows = [{**row, "_step": number, "epoch": None} for number, row in enumerate(facts.rows)]

    def scan_history(self):
        yield {"step": 6, "maps/cross/probe0": {"_type": "image-file"}, "train/loss": None}
        yield from self.rows
        yield {"predictions": {"_type": "table-file"}}
        yield from ({"step": step, "train/loss": 1.0} for step in (math.nan, "NaN", 1.5, None, [1]))


@pytest.fixture
def answers(recorded, monkeypatch):
    """Let W&B's API know one run, ``someone/attncompare/abc``."""
    answers = Answers(facts_of(recorded))

    class Api:
        def __init__(self, timeout):
            assert timeout <= 60

        def run(self, path):
            if path != "someone/attncompare/abc":
                raise wandb.errors.CommError(f"Could not find run <Run {path} (not found)>\nand more")
            return answers

    monkeypatch.setattr(wandb, "Api", Api)
    return answers


def test_an_online_run_is_compared_as_far_as_w_and_b_holds_it(answers, recorded):
    (facts,) = find("someone/attncompare/abc", False).runs
    outcome = compare(facts, facts_of(recorded))
    assert outcome.verdict == "identical" and {"test", "weights_sha256"} <= set(outcome.compared)
    missing = {"epoch", "val", "predictions", "items"}
    assert missing <= {one.partition(" ")[0] for one in outcome.not_compared}
    assert facts.environment == {"data_fingerprint": "d" * 64, "threads": 1}
    answers.rows[0]["train/loss"] = "NaN"
    (facts,) = find("someone/attncompare/abc", False).runs
    assert compare(facts, facts_of(recorded)).first.metric == "train/loss"


def test_what_w_and_b_does_not_know_is_refused(answers, monkeypatch):
    assert "Could not find run" in refused("someone/attncompare/other")
    answers.summary_metrics["state"] = "failed"
    assert "is failed" in refused("someone/attncompare/abc")
    answers.config = {"lr": 1.0}
    assert "not a run of attncompare" in refused("someone/attncompare/abc")

    def no_login(**_):
        raise wandb.errors.UsageError("no API key")

    monkeypatch.setattr(wandb, "Api", no_login)
    assert "wandb login" in refused("someone/attncompare/abc")
