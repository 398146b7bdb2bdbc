"""What a person may type, what it means, and what is refused in one line."""

import shutil
from pathlib import Path

import pytest
from edited import copy_of, edit_json, sealed

from attncompare.errors import Refused
from attncompare.reproduce import sources
from attncompare.reproduce.sources import find, references


@pytest.fixture
def checkout(recorded, tmp_path, monkeypatch):
    """A checkout that comes with one record."""
    (tmp_path / "checkout/runs/reference").mkdir(parents=True)
    copy_of(recorded, tmp_path / "checkout/runs/reference/small-one")
    monkeypatch.setattr(sources, "CHECKOUT", tmp_path / "checkout")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "checkout"


def refused(record, unfinished=False):
    with pytest.raises(Refused) as refusal:
        find(str(record), unfinished)
    assert "\n" not in str(refusal.value)
    return str(refusal.value)


def test_a_run_is_its_folder_and_the_config_in_it(recorded):
    by_folder, by_config = (find(str(path), False).runs for path in (recorded.path, recorded.path / "config.yaml"))
    assert by_folder == by_config
    assert by_folder[0].config == recorded.config
    assert by_folder[0].final["weights_sha256"] == recorded.summary["weights_sha256"]


@pytest.mark.parametrize("name", ["reference/small-one", "small-one"])
def test_a_name_is_a_record_that_comes_with_the_code(checkout, name):
    (facts,) = find(name, False).runs
    assert facts.source == str(checkout / "runs/reference/small-one")


def test_a_path_that_exists_comes_before_a_name(checkout, recorded):
    Path("small-one").mkdir()
    assert "neither a run nor a folder that holds runs" in refused("small-one")


def test_an_unknown_name_lists_those_that_there_are(checkout):
    assert references() == ["small-one"]
    line = refused("reference/smal-one")
    assert "did you mean reference/small-one?" in line and "records under runs/reference: small-one" in line


@pytest.mark.parametrize(
    "name", ["reference/..", "reference/../../checkout", "..small-one", "", "reference/", "a\0b", "x" * 5000]
)
def test_a_name_leads_nowhere_else(checkout, name):
    assert "no such folder" in refused(name)


def test_a_path_with_a_slip_is_not_looked_for_on_the_network(tmp_path, monkeypatch):
    (tmp_path / "runs").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sources, "online_facts", lambda _: pytest.fail("it asked the network"))
    assert "runs/2026-01-01/typo: no such folder" in refused("runs/2026-01-01/typo")


def test_a_config_of_which_nothing_was_recorded(recorded, tmp_path):
    shutil.copy(recorded.path / "config.yaml", tmp_path / "config.yaml")
    found = find(str(tmp_path / "config.yaml"), False)
    assert (found.runs, found.values) == ([], recorded.config.to_dict())


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("run.txt", b"", "neither a folder, nor a config"),
        ("a.yaml", b"", "no config (it holds no keys)"),
        ("a.yaml", b"[1, 2]", "no config (it holds no keys)"),
        ("a.yaml", b"a: [", "a.yaml"),
        ("a.yaml", b"a: !!python/object/apply:os.system ['touch canary']", "a.yaml"),
        ("a.yaml", b"\xff\xfe", "a.yaml"),
        ("a.wandb", b"no such thing", "a.wandb: not readable as an offline run of W&B"),
        ("a.wandb", b"", "a.wandb"),
    ],
)
def test_a_file_that_is_nothing_of_the_kind(tmp_path, monkeypatch, name, content, words):
    monkeypatch.chdir(tmp_path)
    Path(name).write_bytes(content)
    assert words in refused(name)
    assert not Path("canary").exists()


def test_links_are_not_followed_out_of_a_record(recorded, tmp_path):
    copied = copy_of(recorded, tmp_path / "copied")
    (tmp_path / "secret").write_text("secret: true")
    (copied.path / "config.yaml").unlink()
    (copied.path / "config.yaml").symlink_to(tmp_path / "secret")
    assert "secret: true" not in refused(copied.path)
    (tmp_path / "dangling.yaml").symlink_to(tmp_path / "nowhere")
    assert "dangling.yaml" in refused(tmp_path / "dangling.yaml")


def test_a_folder_that_holds_nothing(tmp_path):
    assert "neither a run nor a folder that holds runs" in refused(tmp_path)


def test_unfinished_runs(recorded, tmp_path):
    for name in ("one", "two"):
        copied = copy_of(recorded, tmp_path / "sweep" / name)
        edit_json(copied, "summary.json", lambda values: values.update(state="failed", message="it rained"))
    assert "sweep: none of its 2 runs has finished" in refused(tmp_path / "sweep")
    line = refused(copied.path)
    assert "the run is failed, not finished: it rained" in line
    (facts,) = find(str(copied.path), True).runs
    assert (facts.state, facts.final, facts.predictions, len(facts.rows)) == ("failed", {}, None, 9)


def test_a_row_without_its_step_is_damage(recorded, tmp_path):
    copied = copy_of(recorded, tmp_path / "copied")
    for cell in ("", "nan", "1.5"):
        header, first, *rows = (copied.path / "metrics.csv").read_text().splitlines()
        first = ",".join([cell, *first.split(",")[1:]])
        (copied.path / "metrics.csv").write_text("\n".join([header, first, *rows]) + "\n")
        assert "metrics.csv: damaged" in refused(sealed(copied).path)
