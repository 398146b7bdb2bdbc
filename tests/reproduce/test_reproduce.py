"""``attncompare reproduce`` with real runs: what it trains, what it says, what it writes, and where."""

import json
from pathlib import Path

import pytest
import yaml

from attncompare.record import Run, find_runs
from attncompare.reproduce import command


def contents(folder):
    return {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def report(out):
    (line,) = [line for line in out.splitlines() if line.startswith("report: ")]
    file = Path(line.removeprefix("report: "))
    return file.parent, json.loads(file.read_text())


def changed(written):
    """Return what differs around the runs; somebody may be editing the code while the tests run."""
    return [change["what"] for change in written["environment"] if not change["what"].startswith("git")]


def test_a_run_reproduced_from_its_record_is_identical(cli, recorded):
    before = contents(recorded.path.parents[1])
    code, out, _ = cli("reproduce", recorded.path)
    assert code == 0 and out.startswith("verdict: identical")
    assert contents(recorded.path.parents[1]) == before, "the record and the folder around it stay as they are"
    folder, written = report(out)
    again = Run.open(folder).require_finished()
    assert yaml.safe_load((folder / "overrides.yaml").read_text()) == [f"reproduce={recorded.path}"]
    assert again.environment()["threads"] == recorded.environment()["threads"]
    assert (written["verdict"], written["tolerance"]) == ("identical", 0.001)
    assert (written["recorded"], written["reproduced"]) == (str(recorded.path), str(folder))
    assert written["first_difference"] is None and written["largest_differences"] == []
    assert written["not_compared"] == changed(written) == []


def test_what_differs_is_said_before_training_and_where_the_runs_diverge_after_it(cli, edited):
    run = edited()
    run.metric(3, "train/loss", 1.5)
    run.metric(0, "train/grad_norm", 1 + 1e-9)
    facts = run.run.environment()
    run.json("environment.json", packages={**facts["packages"], "torch": "2.0.0", "rich": "1"}, git=None, threads=None)
    run.json("summary.json", weights_sha256="0" * 64)
    code, out, err = cli("reproduce", run.path)
    assert code == 1 and out.startswith("verdict: different")
    for words in ("train/grad_norm at step 1", "train/loss at step 3", "weights_sha256", "packages.torch", "rich"):
        assert words in out
    assert err.index("packages.torch: 2.0.0") < err.index("recording in")
    assert err.index("not in the record: threads, git") < err.index("recording in")
    _, written = report(out)
    assert written["verdict"] == "different" and changed(written) == ["packages.torch", "packages.rich"]
    assert (written["first_difference"]["metric"], written["first_difference"]["step"]) == ("train/grad_norm", 1)
    assert (written["first_beyond_tolerance"]["metric"], written["first_beyond_tolerance"]["step"]) == ("train/loss", 3)
    assert {one["metric"] for one in written["largest_differences"]} == {"train/grad_norm", "train/loss"}
    code, out, _ = cli("reproduce", run.path, "--tolerance", 0.5)
    assert code == 0 and out.startswith("verdict: equal within tolerance")


def test_other_data_is_different_at_once_and_nothing_is_trained(cli, edited):
    run = edited()
    run.json("environment.json", data_fingerprint="0" * 64)
    code, out, err = cli("reproduce", run.path)
    assert code == 1 and out.startswith("verdict: different")
    assert "data_fingerprint: " + "0" * 64 in err
    assert "recording in" not in err and not Path("runs").exists()


def test_a_strangers_record_decides_neither_where_files_go_nor_what_is_published(cli, edited, tmp_path):
    run, elsewhere = edited(), tmp_path / "elsewhere"
    config = yaml.safe_load((run.path / "config.yaml").read_text())
    config["runs"], config["tracking"]["wandb"], config["tracking"]["entity"] = str(elsewhere), "online", "victim"
    config["resume"] = str(run.path)
    (run.path / "config.yaml").write_text(yaml.safe_dump(config))
    run.seal()
    before = contents(run.path)
    code, out, _ = cli("reproduce", run.path, "--runs", "mine")
    assert (code, elsewhere.exists(), contents(run.path) == before) == (0, False, True)
    folder, _ = report(out)
    assert folder.parts[0] == "mine" and not (folder / "wandb").exists()
    assert Run.open(folder).config.tracking.wandb == "disabled"


@pytest.mark.parametrize(("steps", "last"), [(3, 3), (4, 4)])
def test_only_the_first_steps(cli, edited, steps, last):
    run = edited()
    run.metric(8, "val/loss", 2)  # after the last of these steps
    code, out, _ = cli("reproduce", run.path, "--steps", steps)
    assert code == 0 and out.startswith("verdict: identical") and f"up to step {last}" in out
    folder, written = report(out)
    assert any(f"after step {steps}" in words for words in written["not_compared"])
    assert max(row["step"] for row in Run.open(folder).metrics()) < 6, "no more was trained than is needed"


def test_more_steps_than_there_are_mean_all(cli, edited):
    run = edited()
    run.metric(8, "val/loss", 2)
    code, out, err = cli("reproduce", run.path, "--steps", 99)
    assert code == 1 and "--steps 99" in err and "val/loss at step 6" in out


def test_the_first_steps_of_a_run_that_never_finished(cli, edited):
    run = edited()
    run.unfinished(rows=4)
    assert cli("reproduce", run.path)[0] == 2
    code, out, err = cli("reproduce", run.path, "--steps", 5)
    assert code == 0 and "--steps 5" in err
    assert out.startswith("verdict: identical") and "4 rows of metrics up to step 3" in out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--steps", 0), "--steps 0"),
        (("--tolerance", 1), "--tolerance 1"),
        (("--tolerance", "nan"), "--tolerance nan"),
        (("--data", "where=x"), "--data 'where'"),
        (("--data", "name=x"), "--data name"),
    ],
)
def test_what_cannot_be_asked_for_is_refused(cli, recorded, options, words):
    code, out, err = cli("reproduce", recorded.path, *options)
    assert (code, out, err.count("\n")) == (2, "", 1) and words in err
    assert not Path("runs").exists()


def test_each_finished_run_of_a_sweep(cli, edited, tmp_path):
    good, bad, lost, odd = (edited(f"sweep/{name}") for name in ("a-good", "b-bad", "c-lost", "d-odd"))
    bad.metric(1, "train/loss", 2)
    lost.unfinished(rows=2)
    odd.json("environment.json", threads="many")
    code, out, err = cli("reproduce", tmp_path / "sweep")
    lines = out.splitlines()
    assert code == 1 and lines[0] == f"identical: {good.path}"
    assert lines[1].startswith(f"different: {bad.path}") and "train/loss at step 2" in lines[1]
    assert lines[2].startswith(f"failed: {odd.path}") and "threads" in lines[2]
    assert lines[3].startswith(f"left out: {lost.path}") and "2 of 3 runs" in err.splitlines()[-1]
    folder, written = report(out)
    assert [one["verdict"] for one in written["runs"]] == ["identical", "different", "failed"]
    assert (written["verdict"], written["missing"], len(written["left_out"])) == ("failed", 0, 1)
    assert {run.path.parent for run in find_runs([folder])} == {folder}


def test_ctrl_c_leaves_what_was_done_of_a_sweep(cli, edited, tmp_path, monkeypatch):
    for name in ("a", "b"):
        edited(f"sweep/{name}")
    once = command.reproduce

    def interrupted(facts, options):
        if facts.source.endswith("b"):
            raise KeyboardInterrupt
        return once(facts, options)

    monkeypatch.setattr(command, "reproduce", interrupted)
    assert cli("reproduce", tmp_path / "sweep", "--steps", 1)[0] == 130
    (file,) = Path("runs").glob("*/*-reproduction/reproduction.json")
    written = json.loads(file.read_text())
    assert ([one["verdict"] for one in written["runs"]], written["missing"]) == (["identical"], 1)


def test_a_config_alone_is_trained_twice(cli, recorded):
    Path("some.yaml").write_bytes((recorded.path / "config.yaml").read_bytes())
    code, out, err = cli("reproduce", "some.yaml", "--steps", 2)
    assert code == 0 and out.startswith("verdict: identical") and "trained twice" in err
    assert len(find_runs(["runs"])) == 2


def test_the_data_s_files_may_be_elsewhere_and_other_data_are_different(cli, tmp_path):
    text, moved, other = (tmp_path / name / "text.txt" for name in ("first", "moved", "other"))
    for file, words in ((text, "one two three "), (moved, "one two three "), (other, "one two four ")):
        file.parent.mkdir()
        file.write_text(words * 2000)
    small = ("data.tokenizer.kind=character", "data.tokenizer.vocab_size=null", "task.sample_prompts=[o]")
    data = ("task=language_model", "data=text", f"data.path={text}", *small)
    tiny = ("trainer=smoke", "trainer.threads=1", "backbone.d_model=8", "tracking=disabled")
    code, out, err = cli("train", *data, *tiny)
    assert code == 0, err
    run = out.strip()
    text.unlink()
    assert cli("reproduce", run)[0] == 2
    code, out, err = cli("reproduce", run, "--data", f"path={moved}")
    assert code == 0 and "verdict: identical" in out, err
    code, out, _ = cli("reproduce", run, "--data", f"path={other}")
    assert code == 1 and "data_fingerprint" in out
