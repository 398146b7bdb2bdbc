import numpy as np
import pytest

from attncompare.bench.apart import Apart
from attncompare.bench.overhead import _require_same_bits
from attncompare.bench.plain_loops import train_by_command, train_task
from attncompare.bench.trainings import TINY, in_turns, language_model, translation
from attncompare.errors import RunFailed
from attncompare.record import Run

STEPS = 3


@pytest.fixture
def config(tmp_path):
    """A config of two rounds with dropout."""
    overrides = (*TINY, *in_turns(1, STEPS), "backbone.dropout=0.2", "trainer.threads=1")
    return language_model(tmp_path, "cpu", overrides)


def test_a_run_in_turns_ends_with_the_weights_of_the_plain_loop(config):
    run, loop = Apart(train_by_command, config), Apart(train_task, config, STEPS)
    for _ in range(3):  # in turns, with dropout
        run.turn()
        loop.turn()
    record, weights = run.finish(), loop.finish()
    finished = Run.open(record)
    assert finished.state == "finished"
    assert finished.summary["steps"] == 3 * STEPS
    _require_same_bits(record, weights)
    name = next(iter(weights))
    weights[name] = weights[name] + np.float32(1e-6)
    with pytest.raises(RunFailed, match=f"other weights than the plain loop: {name}$"):
        _require_same_bits(record, weights)


def test_a_training_that_is_left_ends_where_it_stands(config):
    run = Apart(train_by_command, config)
    run.turn()
    run.leave()
    assert run._process.exitcode == 0


def test_a_training_that_fails_says_so_in_its_turn(config):
    broken = config.model_copy(update={"data": config.data.model_copy(update={"path": "nowhere"})})
    run = Apart(train_by_command, broken)
    with pytest.raises(RunFailed, match=r"a training of the benchmark failed: .*nowhere"):
        run.turn()
    run.leave()


def test_a_training_that_is_killed_is_no_riddle(config):
    loop = Apart(train_task, config, STEPS)
    loop._process.kill()
    with pytest.raises(RunFailed, match="SIGKILL"):
        loop.turn()


def test_generated_pairs_are_as_long_as_those_of_multi30k(tmp_path):
    translation(tmp_path, "cpu", None, pairs=2_000)
    lengths = [len(line.split()) for line in (tmp_path / "train.en").read_text().splitlines()]
    assert len(lengths) == 2_000
    assert 12 < sum(lengths) / len(lengths) < 14
    assert 4 <= min(lengths) <= max(lengths) <= 40
