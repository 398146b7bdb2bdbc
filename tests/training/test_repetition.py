"""The same config gives the same bits, again and again, each time in a new process."""

import pytest
from commands import composed_config
from killed_process import train_until_killed
from outcomes import assert_same

from attncompare.record import Run

# Small, but large enough for two threads to share its matrices.
SMALL = (
    *(
        "data=reverse",
        "data.train_size=2000",
        "data.val_size=4",
        "data.test_size=4",
        "task.max_length=16",
        "data.batch_size=64",
    ),
    *("backbone.d_model=64", "backbone.layers=2", "backbone.dropout=0.1", "attention.dropout=0.1", "trainer=cpu"),
    *(
        "trainer.max_steps=6",
        "trainer.validate_every=3",
        "tracking=disabled",
        "tracking.probes=1",
        "tracking.images=0",
    ),
)


def repeat(home, variant, threads, times):
    """Train the same run ``times`` times and hold all of them to the first, its optimizer and random states included."""
    config = composed_config(home / "runs", [*SMALL, f"attention={variant}", f"trainer.threads={threads}"])
    runs = []
    for _ in range(times):
        folder, _, ended = train_until_killed(config, threads=threads)
        assert "seconds" in ended
        runs.append(Run.open(folder))
        assert runs[-1].environment()["threads"] == threads
        assert_same(runs[-1], runs[0])
        assert runs[-1].summary["training_state_sha256"] == runs[0].summary["training_state_sha256"]


@pytest.mark.long
def test_a_repetition_with_two_threads_is_identical(tmp_path):
    repeat(tmp_path, "additive", 2, 2)


@pytest.mark.long
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("variant", ["additive", "scaled", "differential", "entmax15", "talking_heads"])
def test_twenty_repetitions_of_each_variant_are_identical(tmp_path, variant, threads):
    repeat(tmp_path, variant, threads, 20)
