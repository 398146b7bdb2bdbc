"""The record shown in W&B a second time: the same rows, each once, whether W&B's server knew some of them or none."""

from types import SimpleNamespace

import pytest
import wandb
from commands import SMOKE, composed_config, inspect
from wandb_server import plain, wandb_server

from attncompare.errors import Refused
from attncompare.wandb_logging import wandb_calls, wandb_view
from attncompare.record import Run
from attncompare.wandb_logging.replay import pictures_by_step
from attncompare.record import seal
from attncompare.wandb_logging.wandb_view import WandbView
from attncompare.training.run import TRAIN_COLUMNS, resume, train
from attncompare.wandb_logging.upload import upload

RUN = (*SMOKE, "trainer.max_steps=6", "trainer.log_every=1", "trainer.validate_every=2")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    overrides = (*RUN, "attention.heads=2", "tracking.images=2")
    return train(composed_config(tmp_path_factory.mktemp("replayed"), overrides))


def rows_of(run):
    return [plain(row["item"]) for row in inspect(run)["history"]]


class FakeRun:
    """Remembers what it was told; ``held`` rows it had before."""

    def __init__(self, held=0):
        self.starting_step, self.url, self.rows, self.resent = held, "https://somewhere/run", [], []
        self.settings = SimpleNamespace(sync_file="run.wandb")
        self.summary = {}

    def define_metric(self, *arguments, **options):
        pass

    def log(self, values):
        self.rows.append({name: kind(value) for name, value in values.items()})

    def finish(self, exit_code):
        self.exit_code = exit_code


def kind(value):
    return type(value).__name__ if isinstance(value, wandb.Image | wandb.Table | wandb.Html) else value


@pytest.fixture
def fake(monkeypatch, tmp_path, run):
    """Show the record in a W&B run that had some rows before; gives that run."""

    def show(held, mode="online"):
        shown = FakeRun(held)
        monkeypatch.setattr(wandb, "init", lambda **_: shown)
        monkeypatch.setattr(wandb_view, "kept_rows", lambda _: len(shown.rows))
        monkeypatch.setattr(wandb_view, "resend", lambda _, values, row: shown.resent.append((row, sorted(values))))
        shown.view = WandbView.start(tmp_path, run.config, None, run_id="abcdefgh", mode=mode)
        shown.view.replay(run)
        return shown

    return show


def test_the_history_of_a_replay_is_that_of_the_run(run):
    live = rows_of(run)
    upload([run.path], offline=True)
    assert rows_of(run) == live
    assert [list(row) for row in rows_of(run)] == [list(row) for row in live]
    assert sum("maps/cross/probe1._type" in row for row in live) == 3


def test_it_begins_anew_offline(fake, run):
    shown = fake(held=5, mode="offline")
    assert len(shown.rows) == len(run.metrics()) + 3
    assert [row["step"] for row in shown.rows] == [1, 2, 2, 2, 3, 4, 4, 4, 5, 6, 6, 6]
    assert shown.resent == []


def test_what_the_server_has_is_not_shown_again(fake):
    whole = fake(held=0).rows
    for held in (1, 4, len(whole)):
        shown = fake(held)
        assert shown.rows == whole[held:]
        assert [row for row, _ in shown.resent] == list(range(held))


def test_nor_is_what_the_server_has_beyond_the_record(fake):
    """As when a run goes on from a checkpoint that was written before its last rows."""
    whole = fake(held=0).rows
    shown = fake(held=len(whole) + 2)
    assert shown.rows == []
    for step in (7, 8, 9):
        shown.view.log(step, {"train/loss": 1.0})
    assert shown.rows == [{"step": 9, "train/loss": 1.0}]
    shown.view.finish("finished", {"threads": 1})
    assert shown.view.problem is None
    assert (shown.exit_code, shown.summary) == (0, {"threads": 1, "state": "finished"})


def test_rows_come_with_their_pictures(fake):
    rows = fake(held=0).rows
    assert {**rows[3]} == {"step": 2} | {
        f"maps/{site}/probe{probe}": "Image" for site in ("encoder_self", "decoder_self", "cross") for probe in (0, 1)
    }
    assert list(rows[0]) == ["step", *TRAIN_COLUMNS]


def test_a_damaged_record_is_refused_and_not_a_problem_of_wandb(run, fake):
    picture = run.path / "maps" / "step-0000004-probe0-cross.png"
    content = picture.read_bytes()
    try:
        picture.write_bytes(content[:-1])
        with pytest.raises(Refused, match=r"step-0000004-probe0-cross\.png: not what the finished run wrote"):
            fake(held=0)
        picture.unlink()
        with pytest.raises(Refused, match=r"step-0000004-probe0-cross\.png: cannot be read"):
            fake(held=0)
    finally:
        picture.write_bytes(content)


def test_only_pictures_count_as_pictures(run):
    stray = run.path / "maps" / "step-x-probe0-cross.png"
    stray.touch()
    try:
        seal(run.path)
        assert set(pictures_by_step(Run.open(run.path))) == {2, 4, 6}
    finally:
        stray.unlink()
        seal(run.path)


def test_a_resumed_run_is_shown_without_a_gap_or_a_double_row(make_config, run):
    stopped = train(make_config(*RUN, "attention.heads=2", "tracking.images=2"), stop_after=3)
    assert [row["step"] for row in rows_of(stopped) if "train/loss" in row] == [1, 2, 3]
    assert inspect(stopped)["exit"][0]["exit_code"] == 1
    (first,) = inspect(stopped)["run"]
    resumed = resume(stopped.path)
    (second,) = inspect(resumed)["run"]
    assert second["run_id"] == first["run_id"] == resumed.summary["wandb"]["id"]

    def steps(shown):
        return [(row.get("step"), sorted(key.partition("/")[0] for key in row)) for row in shown]

    assert steps(rows_of(resumed)) == steps(rows_of(run))
    assert [row["train/loss"] for row in rows_of(resumed) if "train/loss" in row] == [
        row["train/loss"] for row in rows_of(run) if "train/loss" in row
    ]


def test_a_resumed_run_goes_on_behind_what_the_server_has(make_config, monkeypatch, run):
    with wandb_server(monkeypatch) as server:
        online = make_config(*RUN, "tracking=online", "tracking.images=1")
        stopped = train(online, stop_after=3)
        assert stopped.summary["wandb"]["missing"] is None
        (served,) = server.runs.values()
        assert [row["step"] for row in served.rows] == [1, 2, 2, 2, 3]
        # What the killed process had sent after its checkpoint.
        served.history.append({**served.history[-1], "_step": 5, "step": 4})
        resumed = resume(stopped.path)
        assert resumed.summary["wandb"]["missing"] is None
        assert len(server.runs) == 1
        assert [row.get("step") for row in served.rows] == [1, 2, 2, 2, 3, 4, 4, 4, 5, 6, 6, 6, None, None, None]
        assert [row["val/loss"] for row in served.rows if "val/loss" in row] == [
            row["val/loss"] for row in resumed.metrics() if "val/loss" in row
        ]
        assert served.exit_codes == [1, 0]


def test_the_time_limit_gives_what_the_work_gives():
    assert wandb_calls.within(5, lambda: 3) == 3
    with pytest.raises(TimeoutError, match="its own"):
        wandb_calls.within(5, fail_with(TimeoutError("its own")))
    with pytest.raises(SystemExit):
        wandb_calls.within(5, fail_with(SystemExit(3)))


def fail_with(error):
    def work():
        raise error

    return work
