"""`attncompare reproduce` with real runs: what it trains, what it says, what it writes, and where."""

import json
import re
from pathlib import Path

import pytest
import yaml
from edited import copy_of, edit_json, edit_metric, sealed

from attncompare.reproduce import command
from attncompare.record import Run, find_runs


def contents(folder):
    files = [file for file in folder.rglob("*") if file.is_file() and "wandb" not in file.parts]  # W&B's log goes on
    return {file: file.read_bytes() for file in files}


def report(out):
    (line,) = [line for line in out.splitlines() if line.startswith("report: ")]
    file = Path(line.removeprefix("report: "))
    return file.parent, json.loads(file.read_text())


def changed(written):
    """Return what differs around the runs; somebody may be editing the code while the tests run."""
    return [change["what"] for change in written["environment"] if not change["what"].startswith("git")]


def forget_first_row(run):
    header, _, *rows = (run.path / "metrics.csv").read_text().splitlines()
    (run.path / "metrics.csv").write_text("\n".join([header, *rows]) + "\n")
    return sealed(run)


def unfinished(run, rows):
    lines = (run.path / "metrics.csv").read_text().splitlines()
    (run.path / "metrics.csv").write_text("\n".join(lines[: rows + 1]) + "\n")
    return edit_json(run, "summary.json", lambda values: values.update(state="failed", message="the cat sat on it"))


def test_a_run_reproduced_from_its_record_is_identical(cli, recorded):
    before = contents(recorded.path.parents[1])
    code, out, _ = cli("reproduce", recorded.path)
    assert (code, out.splitlines()[0]) == (
        0,
        "verdict: identical (9 rows of metrics up to step 6, val, test, steps, best step, final weights, "
        "training state, predictions: bit for bit)",
    )
    assert contents(recorded.path.parents[1]) == before, "the record and the folder around it stay as they are"
    folder, written = report(out)
    again = Run.open(folder).require_finished()
    assert yaml.safe_load((folder / "overrides.yaml").read_text()) == [f"reproduce={recorded.path}"]
    assert again.environment()["threads"] == recorded.environment()["threads"]
    assert written["verdict"] == "identical" and written["tolerance"] == 0.001
    assert (written["recorded"], written["reproduced"]) == (str(recorded.path), str(folder))
    assert written["first_difference"] is None and written["largest_differences"] == {}
    assert written["not_compared"] == changed(written) == []


def test_what_differs_is_said_before_training_and_where_the_runs_part_after_it(cli, copied):
    edit_metric(copied, 3, "train/loss", lambda loss: loss * 1.5)
    edit_metric(copied, 0, "train/grad_norm", lambda norm: norm * (1 + 1e-9))
    edit_json(copied, "environment.json", lambda values: values["packages"].update(torch="2.0.0", rich="1", click="1"))
    code, out, err = cli("reproduce", copied.path)
    assert code == 1
    assert out.splitlines()[0].startswith("verdict: different (tolerance 0.001, relatively; compared: 9 rows")
    assert re.search("^first difference: train/grad_norm at step 1: .* in the record, .* now$", out, re.M)
    assert re.search("^first beyond the tolerance: train/loss at step 3: .* in the record, .* now$", out, re.M)
    assert "largest relative differences: train/loss 3.3e-01 at step 3, train/grad_norm 1.0e-09 at step 1" in out
    torch, packages = "packages.torch: 2.0.0 in the record", "packages: 2 other packages differ: click, rich"
    for words in (torch, packages):
        assert f"environment: {words}" in out
        assert err.index(words) < err.index("recording in")
    assert err.splitlines()[-1] == f"error: {copied.path} was not reproduced"
    _, written = report(out)
    assert written["verdict"] == "different"
    assert (written["first_difference"]["metric"], written["first_difference"]["step"]) == ("train/grad_norm", 1)
    assert (written["first_beyond_tolerance"]["metric"], written["first_beyond_tolerance"]["step"]) == ("train/loss", 3)
    assert written["largest_differences"].keys() == {"train/grad_norm", "train/loss"}
    assert changed(written) == [
        "packages.torch",
        "packages.click",
        "packages.rich",
    ]


def test_a_chosen_tolerance_decides(cli, copied):
    edit_metric(copied, 3, "train/loss", lambda loss: loss * 1.05)
    code, out, _ = cli("reproduce", copied.path, "--tolerance", 0.1)
    assert code == 0
    assert out.startswith("verdict: equal within tolerance (every metric within 0.1 of the recorded one, relatively; ")
    assert report(out)[1]["tolerance"] == 0.1


def test_what_a_record_does_not_tell_is_named_before_training(cli, copied):
    edit_json(copied, "environment.json", lambda values: [values.pop(key) for key in ("git", "threads")])
    err = cli("reproduce", copied.path, "--steps", 1)[2]
    assert "all as recorded" not in err
    told = "as recorded, as far as it was\nnot known, as it is not in the record: threads, git\n"
    assert told in err and err.index(told) < err.index("recording in")
    edit_json(copied, "environment.json", lambda values: values.update(python="2.7"))
    err = cli("reproduce", copied.path, "--steps", 1)[2]
    assert "not as it was recorded:\n  python: 2.7" in err
    assert "not known, as it is not in the record: threads, git\n" in err


def test_hashes_differ_without_a_size(cli, copied):
    edit_json(copied, "summary.json", lambda values: values.update(weights_sha256="0" * 64))
    code, out, _ = cli("reproduce", copied.path)
    assert code == 0 and "largest relative differences" not in out
    assert "\ndifferent: final weights\n" in out
    written = report(out)[1]
    assert (written["largest_differences"], written["different_without_size"]) == ({}, ["final weights"])
    edit_metric(copied, 3, "train/loss", lambda loss: loss * 1.5)
    _, out, _ = cli("reproduce", copied.path)
    assert "largest relative differences: train/loss 3.3e-01 at step 3\nalso different: final weights\n" in out


def test_other_data_is_different_at_once_and_nothing_is_trained(cli, copied):
    edit_json(copied, "environment.json", lambda values: values.update(data_fingerprint="0" * 64))
    code, out, err = cli("reproduce", copied.path)
    assert code == 1
    assert out.startswith("verdict: different (the data is not that of the record, so nothing was trained)\n")
    assert "data_fingerprint: " + "0" * 64 in err
    assert "recording in" not in err and not Path("runs").exists()


def test_a_strangers_record_decides_neither_where_files_go_nor_what_is_published(cli, copied, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    config = yaml.safe_load((copied.path / "config.yaml").read_text())
    config["runs"], config["tracking"]["wandb"], config["tracking"]["entity"] = str(elsewhere), "online", "victim"
    config["resume"] = str(copied.path)
    (copied.path / "config.yaml").write_text(yaml.safe_dump(config))
    sealed(copied)
    before = contents(copied.path)
    code, out, _ = cli("reproduce", copied.path, "--runs", "mine")
    assert (code, elsewhere.exists(), contents(copied.path) == before) == (0, False, True)
    folder, _ = report(out)
    assert folder.parts[0] == "mine" and not (folder / "wandb").exists()
    assert Run.open(folder).config.tracking.wandb == "disabled"


@pytest.mark.parametrize(("steps", "rows", "last"), [(3, 4, 3), (4, 6, 4)])
def test_only_the_first_steps(cli, copied, steps, rows, last):
    edit_metric(copied, 8, "val/loss", lambda loss: loss * 2)  # after the last of these steps
    code, out, _ = cli("reproduce", copied.path, "--steps", steps)
    assert code == 0
    assert out.startswith(f"verdict: identical ({rows} rows of metrics up to step {last}: bit for bit)\n")
    assert f"not compared: anything after step {steps} (only {steps} steps asked for)" in out
    folder, _ = report(out)
    assert max(row["step"] for row in Run.open(folder).metrics()) < 6, "no more was trained than is needed"


def test_more_steps_than_there_are_mean_all(cli, copied):
    edit_metric(copied, 8, "val/loss", lambda loss: loss * 2)
    code, out, err = cli("reproduce", copied.path, "--steps", 99)
    assert "--steps 99: the run has only 6 steps, and all of them are compared\n" in err
    assert (code, "first difference: val/loss at step 6" in out) == (1, True)
    assert "val, test, steps, best step, final weights" in out


def test_the_first_steps_of_a_run_that_never_finished(cli, copied):
    run = unfinished(copied, rows=4)
    assert cli("reproduce", run.path)[0] == 2
    code, out, err = cli("reproduce", run.path, "--steps", 5)
    assert code == 0 and "--steps 5: the record has only 3 steps, and all of them are compared\n" in err
    assert out.startswith("verdict: identical (4 rows of metrics up to step 3: bit for bit)\n")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--steps", "0"], "--steps 0: must be a positive integer"),
        (["--steps", "-3"], "--steps -3: must be a positive integer"),
        (["--steps", "x"], "--steps"),
        (["--steps", "1"], "--steps 1: the first row of metrics is that of step 2; give that or more"),
        (["--tolerance", "1"], "--tolerance 1.0: must be a number from 0 to below 1"),
        (["--tolerance", "nan"], "--tolerance nan: must be a number from 0 to below 1"),
        (["--runs", ""], "--runs: must not be empty"),
        (["--runs", "/dev/null/runs"], "runs=/dev/null/runs: cannot write there"),
    ],
)
def test_options_that_cannot_be_met(cli, copied, options, words):
    forget_first_row(copied)
    code, out, err = cli("reproduce", copied.path, *options)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert words in err and not Path("runs").exists()


@pytest.mark.parametrize("threads", [0, -1, "two", 1.0, True, 10**9])
def test_a_thread_count_that_is_none(cli, copied, threads):
    edit_json(copied, "environment.json", lambda values: values.update(threads=threads))
    code, _, err = cli("reproduce", copied.path)
    assert (code, err.count("\n")) == (2, 1)
    assert f"threads={threads}; valid: a whole number from 1" in err


def test_every_finished_run_of_a_sweep(cli, recorded, tmp_path):
    sweep = tmp_path / "sweep"
    sweep.mkdir()
    good, bad, lost = (copy_of(recorded, sweep / name) for name in ("a-good", "b-bad", "c-lost"))
    edit_metric(bad, 1, "train/loss", lambda loss: loss * 2)
    unfinished(lost, rows=2)
    code, out, err = cli("reproduce", sweep)
    assert code == 1
    lines = out.splitlines()
    assert lines[0] == f"identical: {good.path}"
    assert lines[1].startswith(f"different: {bad.path} (first difference: train/loss at step 2: ")
    assert lines[2].startswith(f"left out: {lost.path}: the run is failed")
    assert err.splitlines()[-1] == f"error: {sweep}: 1 of 2 runs could not be reproduced"
    folder, written = report(out)
    assert [one["verdict"] for one in written["runs"]] == ["identical", "different"]
    assert (written["verdict"], written["missing"], len(written["left_out"])) == ("different", 0, 1)
    assert {run.path.parent for run in find_runs([folder])} == {folder}
    assert len(list(folder.glob("*/reproduction.json"))) == 2


def test_a_run_of_a_sweep_that_cannot_be_trained_leaves_the_others(cli, recorded, tmp_path):
    sweep = tmp_path / "sweep"
    sweep.mkdir()
    bad, good = (copy_of(recorded, sweep / name) for name in ("a-bad", "b-good"))
    edit_json(bad, "environment.json", lambda values: values.update(threads="many"))
    code, out, _ = cli("reproduce", sweep, "--steps", 2)
    lines = out.splitlines()
    assert code == 1
    assert lines[0].startswith(f"failed: {bad.path}: {bad.path}: its environment says threads=many")
    assert lines[1] == f"identical: {good.path}"


def test_a_config_alone_is_trained_twice(cli, recorded):
    Path("some.yaml").write_bytes((recorded.path / "config.yaml").read_bytes())
    code, out, err = cli("reproduce", "some.yaml", "--steps", 2)
    assert code == 0
    assert out.startswith("verdict: identical (3 rows of metrics up to step 2: bit for bit)\n")
    assert "nothing was recorded beside it, so it is trained twice" in err
    assert "first some.yaml: stopped as asked (step 2) after" in err and "interrupted" not in err
    assert "--steps" not in err
    assert len(find_runs(["runs"])) == 2
    assert "names no commit" in cli("reproduce", "some.yaml", "--exact-code")[2]


def test_ctrl_c_leaves_what_was_done_of_a_sweep(cli, recorded, tmp_path, monkeypatch):
    sweep = tmp_path / "sweep"
    sweep.mkdir()
    for name in ("a", "b"):
        copy_of(recorded, sweep / name)
    once = command.reproduce

    def interrupted(facts, wish, shown):
        if facts.source.endswith("b"):
            raise KeyboardInterrupt
        return once(facts, wish, shown)

    monkeypatch.setattr(command, "reproduce", interrupted)
    assert cli("reproduce", sweep, "--steps", 1)[0] == 130
    (file,) = Path("runs").glob("*/*-reproduction/reproduction.json")
    written = json.loads(file.read_text())
    assert ([one["verdict"] for one in written["runs"]], written["missing"]) == (["identical"], 1)


def test_the_data_s_files_may_stand_elsewhere_and_other_data_are_different(cli, tmp_path):
    text, moved, other = (tmp_path / name / "text.txt" for name in ("first", "moved", "other"))
    for file, words in ((text, "one two three "), (moved, "one two three "), (other, "one two four ")):
        file.parent.mkdir()
        file.write_text(words * 2000)
    small = ("data.tokenizer.kind=character", "data.tokenizer.vocab_size=null", "task.sample_prompts=[o]")
    data = ("task=language_model", "data=text", f"data.path={text}", *small)
    code, out, err = cli(
        "train", *data, "trainer=smoke", "trainer.threads=1", "backbone.d_model=8", "tracking=disabled"
    )
    assert code == 0, err
    text.unlink()
    assert cli("reproduce", out.strip())[0] == 2
    code, out_again, err = cli("reproduce", out.strip(), "--data", f"path={moved}")
    assert code == 0 and "verdict: identical" in out_again, err
    code, out_again, _ = cli("reproduce", out.strip(), "--data", f"path={other}")
    assert code == 1 and "data_fingerprint" in out_again
    code, _, err = cli("reproduce", out.strip(), "--data", "where=x")
    assert code == 2 and "unknown key of --data 'where'" in err
