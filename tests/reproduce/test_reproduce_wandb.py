"""Runs as Weights & Biases recorded them: a real offline run, and the answers of its API."""

import json
import math
import shutil
from pathlib import Path

import pytest
import wandb
from commands import attncompare

from attncompare.errors import Refused
from attncompare.reproduce.facts import facts_of
from attncompare.reproduce.sources import find
from attncompare.reproduce.verdict import compare
from attncompare.wandb_logging import wandb_file


@pytest.fixture(scope="module")
def offline(recorded):
    (folder,) = recorded.path.glob("wandb/offline-run-*")
    return folder


@pytest.fixture(scope="module")
def known(offline):
    (facts,) = find(str(offline), False).runs
    return facts


class Answers:
    """What W&B's server says of one run, as its API gives it."""

    def __init__(self, facts):
        self.config = {**facts.values, "_wandb": {"value": {}}}
        test = {f"test/{key}": value for key, value in facts.final["test"].items()}
        extra = {"weights_sha256": "0" * 64, "threads": 1, "data_fingerprint": "d" * 64}
        self.summary_metrics = {**test, **extra, "state": "finished", "val/loss": {"min": 1.0}, "_step": 12}
        self.metadata = {"python": "CPython 3.9.1", "cpu": {"model": "another"}}
        self.rows = [{**row, "_step": number, "epoch": None} for number, row in enumerate(facts.rows)]

    def scan_history(self):
        yield {"step": 6, "maps/cross/probe0": {"_type": "image-file"}, "train/loss": None}
        yield from self.rows
        yield {"predictions": {"_type": "table-file"}}
        yield from ({"step": step, "train/loss": 1.0} for step in (math.nan, "NaN", 1.5, None, [1]))

    def file(self, name):
        assert name == "requirements.txt"
        return self

    def download(self, root, replace):  # noqa: ARG002
        (Path(root) / "requirements.txt").write_text("torch==1.0\nno-version\n")
        return (Path(root) / "requirements.txt").open()


@pytest.fixture
def answers(known, monkeypatch):
    """Let W&B's API know one run, `someone/attncompare/abc`."""
    answers = Answers(known)

    class Api:
        def __init__(self, timeout):
            assert timeout <= 60

        def run(self, path):
            if path != "someone/attncompare/abc":
                raise wandb.errors.CommError(f"Could not find run <Run {path} (not found)>\nand more")
            return answers

    monkeypatch.setattr(wandb, "Api", Api)
    return answers


def test_an_offline_run_is_reproduced_as_far_as_it_was_recorded(cli, offline):
    code, out, err = cli("reproduce", offline)
    assert code == 0
    first, *rest = out.splitlines()
    assert first.startswith("verdict: identical (9 rows of metrics up to step 6, ") and "test" in first
    (missing,) = [line for line in rest if line.startswith("not compared: ")]
    for words in ("predictions (not in the record)", "val (not in the record)", "git (not in the record)"):
        assert words in missing
    assert "as recorded, as far as it was\n" in err, "packages and Python are those that W&B noted"
    assert "not known, as it is not in the record: device, cpu_capability, git\n" in err


def test_it_holds_the_numbers_of_the_record(known, recorded):
    assert compare(known, facts_of(recorded)).verdict == "identical"
    assert known.config == recorded.config
    assert known.environment["packages"]["torch"] == recorded.environment()["packages"]["torch"]
    assert known.environment["python"] == recorded.environment()["python"]
    assert known.environment["cpu"] == recorded.environment()["cpu"]


def test_the_file_alone_will_do(offline, known, tmp_path):
    (file,) = offline.glob("*.wandb")
    copied = Path(shutil.copy(file, tmp_path))
    (facts,) = find(str(copied), False).runs
    assert (facts.rows, facts.final, facts.values) == (known.rows, known.final, known.values)
    assert "packages" not in facts.environment


def test_a_file_that_was_cut_is_no_finished_run(offline, known, tmp_path):
    (file,) = offline.glob("*.wandb")
    content, cut = file.read_bytes(), tmp_path / "cut.wandb"
    for share in (0.5, 0.8, 0.99):
        cut.write_bytes(content[: int(len(content) * share)])
        with pytest.raises(Refused, match=r"not finished \(the file has no end|its last records are missing"):
            find(str(cut), False)
    cut.write_bytes(content[: len(content) // 2])
    (facts,) = find(str(cut), True).runs
    assert 0 < len(facts.rows) < len(known.rows) and facts.rows == known.rows[: len(facts.rows)]


@pytest.mark.parametrize("share", [0.03, 0.3, 0.6, 0.9, 0.999])
def test_a_byte_that_was_changed_is_damage(offline, tmp_path, share):
    (file,) = offline.glob("*.wandb")
    content = bytearray(file.read_bytes())
    content[int(len(content) * share)] ^= 4
    (tmp_path / "changed.wandb").write_bytes(content)
    with pytest.raises(Refused, match=r"changed\.wandb: damaged \("):
        find(str(tmp_path / "changed.wandb"), True)


def test_something_behind_the_end_is_damage(offline, tmp_path):
    (file,) = offline.glob("*.wandb")
    for more in (b"\0" * 5, b"some more of it"):
        (tmp_path / "more.wandb").write_bytes(file.read_bytes() + more)
        with pytest.raises(Refused, match=r"more\.wandb: damaged \("):
            find(str(tmp_path / "more.wandb"), False)


@pytest.mark.parametrize(
    ("numbers", "kinds", "said", "problem"),
    [
        ([1, 2, 3], ["header", "run", "exit"], "", None),
        ([1, 2], ["header", "run"], "", None),
        ([1, 2], ["header", "run"], "wandb leet inspect: reached the end of an incomplete file", None),
        ([1, 2], ["header", "exit"], "wandb leet inspect: reached the end of an incomplete file", "reached the end of"),
        ([1, 2], ["header", "run"], "wandb leet inspect: skipped corrupt data", "skipped corrupt data"),
        ([1, 2], ["header", "exit"], "something else is said on this channel", None),
        ([1, 3], ["header", "exit"], "", "record 2 is missing"),
        ([2, 3], ["header", "exit"], "", "record 1 is missing"),
        ([1, 1], ["header", "exit"], "", "record 2 is missing"),
        ([1, 2], ["exit", "history"], "", "it goes on behind its end"),
    ],
)
def test_what_counts_as_damage(numbers, kinds, said, problem):
    found = wandb_file._damage(numbers, kinds, said)
    assert (found or "").startswith(problem or "") and bool(found) == bool(problem)


def test_two_runs_in_one_folder_are_refused(offline, tmp_path):
    (file,) = offline.glob("*.wandb")
    for name in ("one.wandb", "two.wandb"):
        shutil.copy(file, tmp_path / name)
    with pytest.raises(Refused, match=r"2 \.wandb files; give one of them"):
        find(str(tmp_path), False)


def test_a_run_of_something_else_is_refused(tmp_path):
    settings = wandb.Settings(silent=True, console="off")
    run = wandb.init(mode="offline", dir=str(tmp_path), config={"lr": 1}, settings=settings, reinit="create_new")
    run.finish()
    (folder,) = tmp_path.glob("wandb/offline-run-*")
    with pytest.raises(Refused, match="not a run of attncompare"):
        find(str(folder), False)


def test_a_run_of_the_server(answers, known):
    (facts,) = find("someone/attncompare/abc", False).runs
    assert facts.rows == known.rows
    assert facts.final["test"] == known.final["test"] and facts.final["weights_sha256"] == "0" * 64
    assert (facts.threads, facts.data_fingerprint, facts.config) == (1, "d" * 64, known.config)
    assert facts.environment["packages"] == {"torch": "1.0"}
    assert (facts.environment["python"], facts.environment["cpu"]) == ("3.9.1", "another")


def test_it_is_trained_again_and_the_report_names_it(cli, answers):
    del answers.summary_metrics["data_fingerprint"], answers.summary_metrics["weights_sha256"]
    answers.rows[3]["train/loss"] *= 2  # that of step 3
    code, out, err = cli("reproduce", "someone/attncompare/abc", "--steps", "2")
    assert code == 0
    (line,) = [line for line in out.splitlines() if line.startswith("report: ")]
    assert json.loads(Path(line.removeprefix("report: ")).read_text())["recorded"] == "someone/attncompare/abc"
    assert "packages.torch: 1.0 in the record" in err


def test_other_data_on_the_server_is_different(cli, answers):
    code, out, _ = cli("reproduce", "someone/attncompare/abc")
    assert (code, out.splitlines()[0]) == (
        1,
        "verdict: different (the data is not that of the record, so nothing was trained)",
    )


def test_numbers_that_w_and_b_writes_as_texts(answers):
    answers.rows[0]["train/loss"], answers.rows[1]["train/loss"] = "NaN", "Infinity"
    answers.summary_metrics["test/loss"] = None
    (facts,) = find("someone/attncompare/abc", False).runs
    assert math.isnan(facts.rows[0]["train/loss"]) and facts.rows[1]["train/loss"] == math.inf
    assert math.isnan(facts.final["test"]["loss"])


def test_a_run_that_goes_on_there_needs_a_number_of_steps(answers):
    answers.summary_metrics = {"val/loss": 1.0}
    with pytest.raises(Refused, match="abc: the run is running, not finished; --steps N"):
        find("someone/attncompare/abc", False)
    (facts,) = find("someone/attncompare/abc", True).runs
    assert len(facts.rows) == 9 and facts.final == {}


def test_a_run_that_is_not_there(answers):
    with pytest.raises(Refused, match=r"^someone/attncompare/xyz: .*Could not find run <Run [^\n]*$"):
        find("someone/attncompare/xyz", False)


def test_without_a_login_it_says_how_to_log_in(tmp_path):
    done = attncompare("reproduce", "someone/attncompare/abc", cwd=tmp_path, timeout=60)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    for words in ("someone/attncompare/abc", "wandb login", "WANDB_API_KEY"):
        assert words in done.stderr


def test_without_a_network_it_says_so(monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", "a" * 40)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")  # a port where nothing listens
    with pytest.raises(Refused, match=r"W&B gave no run of that name: [^\n]*127\.0\.0\.1:9[^\n]*$"):
        find("someone/attncompare/abc", False)
