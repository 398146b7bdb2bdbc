"""Folders and files named on the command line: what stands there is not replaced, and what can go on is named."""

import errno
import json
import os
import shutil
from pathlib import Path

import pytest
import yaml
from commands import SMOKE, composed_config

from attncompare.errors import Refused
from attncompare.record import files, folders
from attncompare.record import Run, find_runs
from attncompare.training.run import train

RUN = (*SMOKE, "tracking=disabled", "tracking.probes=1")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder of two runs, one finished, one stopped after its first step."""
    home = tmp_path_factory.mktemp("trained")
    return train(composed_config(home, RUN)), train(composed_config(home, (*RUN, "seed=2")), stop_after=1)


@pytest.fixture
def sweep(trained):
    """A sweep's folder below the current one: one run finished, one stopped, and two that were never started."""
    folder = Path("sweep")
    for name, run in zip("ab", trained, strict=True):
        shutil.copytree(run.path, folder / name)
    (folder / "sweep.yaml").write_text(yaml.safe_dump({"runs": [[f"seed={seed}"] for seed in range(4)]}))
    return folder


def refused(result):
    code, out, err = result
    line = err.splitlines()[-1]
    assert code == 2 and out == "" and line.startswith("error: ") and "Traceback" not in err, err
    return line


@pytest.fixture(params=["attend", "compare"])
def page_to(request, cli, trained):
    """Ask a command to write its page to a file."""
    arguments = {"attend": (trained[0].path, "abc"), "compare": (trained[0].path,)}[request.param]
    return lambda file: cli(request.param, *arguments, "--html", file)


def test_a_page_replaces_files_and_nothing_else(page_to):
    Path("folder").mkdir()
    Path("old.html").write_text("an older page")
    Path("link").symlink_to("old.html")
    os.mkfifo("pipe")
    for name, kind in {"folder": "folder", "link": "symbolic link", "pipe": "pipe"}.items():
        assert f"--html {name}: a {kind} is there; give the name of a new file" in refused(page_to(name))
    with pytest.raises(Refused, match="a special file is there"):
        files.require_replaceable(Path("/dev/null"), "--html /dev/null")
    assert Path("link").is_symlink() and Path("pipe").is_fifo()
    assert Path("old.html").read_text() == "an older page"
    assert page_to("old.html")[0] == 0
    assert Path("old.html").read_text().startswith("<!doctype html>")


def test_a_link_in_place_of_the_temporary_file_is_not_followed(page_to):
    Path("precious").write_text("mine")
    Path(".page.html.tmp").symlink_to("precious")
    assert page_to("page.html")[0] == 0
    assert Path("precious").read_text() == "mine" and Path("page.html").is_file()


@pytest.mark.parametrize(
    "arguments",
    [
        ("compare", ""),
        ("compare", "RUN", "--html", ""),
        ("attend", "", "abc"),
        ("attend", "RUN", "abc", "--html", ""),
        ("reproduce", ""),
        ("reproduce", "RUN", "--runs", ""),
        ("upload", ""),
        ("upload", "RUN", ""),
        ("translate", ""),
        ("translate", "RUN", ""),
        ("generate", "", "--prompt", "a"),
        ("evaluate", "RUN", "--json", ""),
    ],
)
def test_an_empty_name_is_no_name_of_the_current_folder(cli, trained, arguments):
    result = cli(*(str(trained[0].path) if word == "RUN" else word for word in arguments))
    assert "must not be empty; see attncompare" in refused(result)


@pytest.mark.parametrize(
    "arguments", [("compare",), ("attend", "abc"), ("upload",), ("reproduce",), ("train", "--resume")]
)
def test_a_name_that_no_file_can_have_is_refused(cli, arguments):
    command, *rest = arguments
    words = [command, *rest, "n" * 300] if command == "train" else [command, "n" * 300, *rest]
    assert "n" * 300 in refused(cli(*words))


def test_a_run_without_maps_of_its_own_shows_those_of_a_sentence(cli):
    code, _, _ = cli("train", *RUN, "tracking.probes=0", "runs=plain")
    (run,) = find_runs(["plain"])
    assert (code, (run.path / "maps").exists()) == (0, False)
    code, out, _ = cli("attend", run.path, "abc")
    assert code == 0 and f"page: {run.path}/maps/attend.html" in out


def test_a_sweep_is_not_gone_on_with_as_a_whole_and_its_unfinished_runs_are_named(cli, sweep):
    line = refused(cli("train", "--resume", sweep))
    assert line == "error: sweep: not a run, but a folder of runs; each goes on alone; unfinished: sweep/b interrupted"
    shutil.rmtree(sweep / "b")
    assert "a folder of 1 run, all of them finished" in refused(cli("train", "--resume", sweep))


def test_a_finished_run_is_left_as_it_is_and_that_is_said(cli, sweep):
    code, out, err = cli("train", "--resume", sweep / "a")
    assert (code, out) == (0, "sweep/a\n")
    assert "sweep/a: already finished: nothing to do" in err and "preparing" not in err


@pytest.mark.parametrize("checkpoint", ["whole", "damaged", "none"])
def test_where_a_run_goes_on_is_said(cli, sweep, checkpoint):
    (file,) = (sweep / "b").glob("checkpoints/resume-*")
    if checkpoint != "whole":
        file.write_bytes(b"spoilt") if checkpoint == "damaged" else file.unlink()
    code, out, err = cli("train", "--resume", sweep / "b")
    assert (code, out) == (0, "sweep/b\n")
    words = (
        "goes on at step 1 of 2" if checkpoint == "whole" else "no checkpoint to go on from: begins anew at step 0 of 2"
    )
    assert words in err
    log = (sweep / "b" / "run.log").read_text()
    assert ("there is none before it: begins at step 0" in log) == (checkpoint == "damaged")
    assert "the checkpoint before it" not in log


def test_a_run_in_a_folder_that_cannot_be_written(cli, sweep, monkeypatch):
    temporary = folders.tempfile.TemporaryDirectory

    def read_only(**options):
        if options.get("dir") == Path("sweep/b").absolute():
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        return temporary(**options)

    monkeypatch.setattr(folders.tempfile, "TemporaryDirectory", read_only)
    line = refused(cli("train", "resume=sweep/b"))
    assert "Read-only file system); make it writable, or go on with a copy of it elsewhere" in line


def test_the_runs_of_a_sweep_that_were_not_started_are_counted(cli, sweep):
    words = "sweep: 2 of its 4 runs have no record yet; see sweep.yaml"
    code, out, err = cli("compare", sweep)
    assert code == 0 and f"note: {words}" in err and "sweep/b" in out
    code, out, _ = cli("reproduce", sweep)
    assert (code, f"left out: {words}" in out) == (0, True)
    shutil.rmtree(sweep / "b")
    code, out, err = cli("compare", sweep)
    assert code == 0 and "note: sweep: 3 of its 4 runs have no record yet" in err
    (sweep / "sweep.yaml").write_text("runs: 4")
    code, out, err = cli("compare", sweep)
    assert code == 0 and "note: sweep/sweep.yaml: damaged (it lists no runs)" in err


@pytest.mark.parametrize("sweep_of", [(), ("-m", "seed=1,2")], ids=["run", "sweep"])
def test_a_disk_that_is_full_at_the_very_start_leaves_no_folder(cli, monkeypatch, sweep_of):
    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files.os, "fsync", full)
    code, out, err = cli("train", *sweep_of, *RUN)
    assert (code, out) == (1, "") and "No space left on device" in err.splitlines()[-1] and "Traceback" not in err
    assert not list(Path("runs").glob("*/*"))


def test_a_config_of_another_version_is_named_by_its_file_and_in_few_words(cli):
    Path("c.yaml").write_text("task: {name: translation}\nseed: 1\n")
    line = refused(cli("reproduce", "c.yaml"))
    assert line.startswith("error: c.yaml: ")
    assert line.count("missing") == 1 and "keys are missing, first: task.max_length" in line and len(line) < 200


def test_the_version_is_told(cli):
    code, out, _ = cli("--version")
    assert (code, out.split()[0]) == (0, "attncompare") and out.split()[1][0].isdigit()


def test_an_unknown_option_lists_resume_too(cli):
    line = refused(cli("train", "--resum", "run"))
    assert "unknown option '--resum' (did you mean --resume?)" in line and line.count("--resume") == 2


def test_names_that_look_like_markup_are_shown_as_they_are(cli, sweep):
    odd = (sweep / "b").rename("[b] run")
    code, out, err = cli("train", "--resume", odd)
    assert (code, out) == (0, "[b] run\n") and "resume [b] run: preparing data" in err
    assert json.loads((odd / "summary.json").read_text())["state"] == "finished" == Run.open(odd).state
