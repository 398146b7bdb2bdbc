import pytest
import torch

from attncompare.bench.overhead import _require_same_bits
from attncompare.bench.own_state import OwnState
from attncompare.bench.plain_loops import of_task
from attncompare.bench.run_in_turns import RunInTurns
from attncompare.bench.trainings import TINY, in_turns, language_model, translation
from attncompare.data.module import DataModule
from attncompare.errors import RunFailed

STEPS = 3
CPU = torch.device("cpu")


@pytest.fixture
def training(tmp_path):
    """A config of two rounds with dropout, and its data."""
    overrides = (*TINY, *in_turns(1, STEPS), "backbone.dropout=0.2", "trainer.threads=1")
    config = language_model(tmp_path, "cpu", overrides)
    data = DataModule(config)
    data.prepare()
    return config, data


def test_a_run_in_turns_ends_with_the_weights_of_the_plain_loop(training):
    config, data = training
    run = RunInTurns(config, 1)
    loop, state = of_task(config, data, CPU)
    turn = loop.turn(STEPS, state)
    for _ in range(3):  # in turns, with dropout: each has its own random numbers
        run.turn()
        turn()
    record = run.finish()
    assert record.state == "finished"
    assert record.summary["steps"] == loop.steps == 3 * STEPS
    _require_same_bits(record, loop, config, data)
    with torch.no_grad():
        next(loop.model.parameters()).view(-1)[0] += 1e-6
    with pytest.raises(RunFailed, match="other weights than the plain loop: embedding"):
        _require_same_bits(record, loop, config, data)


def test_a_run_that_is_left_ends_where_it_stands(training):
    config, _ = training
    run = RunInTurns(config, 1)
    run.turn()
    run.leave()
    assert not run._thread.is_alive()


def test_a_run_that_fails_says_so_in_its_turn(training):
    config, _ = training
    broken = config.model_copy(update={"data": config.data.model_copy(update={"path": "nowhere"})})
    with pytest.raises(RunFailed, match=r"the run of the benchmark failed: .*nowhere"):
        RunInTurns(broken, 1).turn()


def test_each_training_has_random_numbers_of_its_own():
    def drawn(state):
        with state.entered():
            return torch.rand(())

    torch.manual_seed(1)
    one, other = OwnState(), OwnState()
    before = torch.get_rng_state()
    first = [drawn(one), drawn(one)]
    assert torch.equal(torch.get_rng_state(), before)
    assert [drawn(other), drawn(other)] == first


def test_generated_pairs_are_as_long_as_those_of_multi30k(tmp_path):
    translation(tmp_path, "cpu", None, pairs=2_000)
    lengths = [len(line.split()) for line in (tmp_path / "train.en").read_text().splitlines()]
    assert len(lengths) == 2_000
    assert 12 < sum(lengths) / len(lengths) < 14
    assert 4 <= min(lengths) <= max(lengths) <= 40
