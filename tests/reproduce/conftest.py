"""Records that are trained again: one of six steps, and copies of it that are edited on purpose and sealed anew."""

import json
import shutil

import pytest
from commands import SMOKE, composed_config

from attncompare.record import Run, seal


class Edited:
    """A copy of a record's folder that a test changes; a finished one is sealed again, so that a reader takes it."""

    def __init__(self, run, folder):
        self.path = shutil.copytree(run.path, folder, ignore=shutil.ignore_patterns("wandb", "maps"))
        seal(self.path)

    @property
    def run(self):
        return Run.open(self.path)

    def json(self, name, **values):
        """Set values of a JSON file; None removes a key."""
        content = {**json.loads((self.path / name).read_text()), **values}
        kept = {key: value for key, value in content.items() if value is not None or key == "message"}
        (self.path / name).write_text(json.dumps(kept))
        self.seal()

    def metric(self, row, name, factor):
        """Multiply one number in metrics.csv."""
        header, *rows = [line.split(",") for line in (self.path / "metrics.csv").read_text().splitlines()]
        column = header.index(name)
        rows[row][column] = repr(float(rows[row][column]) * factor)
        (self.path / "metrics.csv").write_text("\n".join(",".join(row) for row in [header, *rows]) + "\n")
        self.seal()

    def unfinished(self, rows):
        """Let it be a run that failed after so many rows."""
        lines = (self.path / "metrics.csv").read_text().splitlines()
        (self.path / "metrics.csv").write_text("\n".join(lines[: rows + 1]) + "\n")
        self.json("summary.json", state="failed", message="the cat sat on it")

    def seal(self):
        if json.loads((self.path / "summary.json").read_text())["state"] == "finished":
            seal(self.path)


@pytest.fixture(scope="session")
def recorded(tmp_path_factory):
    """A finished run of six steps, validated every two."""
    from attncompare.training.run import train

    small = ("trainer.max_steps=6", "tracking=disabled", "tracking.probes=1", "tracking.images=0", "name=twice")
    overrides = [*SMOKE, *small]
    return train(composed_config(tmp_path_factory.mktemp("recorded") / "runs", overrides), overrides)


@pytest.fixture
def edited(recorded, tmp_path):
    """Make an edited copy in a folder below the test's."""
    return lambda name="copied": Edited(recorded, tmp_path / name)
