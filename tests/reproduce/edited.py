"""Records that were edited on purpose, and sealed again so that a reader takes them."""

import json
import shutil

from attncompare.record import Run
from attncompare.record import seal


def copy_of(run, folder):
    return Run.open(shutil.copytree(run.path, folder, ignore=shutil.ignore_patterns("wandb", "maps")))


def edit_json(run, name, change):
    """Change one of the record's JSON files by a function that gets its values."""
    values = json.loads((run.path / name).read_text())
    change(values)
    (run.path / name).write_text(json.dumps(values))
    return sealed(run)


def edit_metric(run, row_number, metric, change):
    """Change one number in metrics.csv."""
    file = run.path / "metrics.csv"
    header, *rows = [line.split(",") for line in file.read_text().splitlines()]
    column = header.index(metric)
    rows[row_number][column] = repr(change(float(rows[row_number][column])))
    file.write_text("\n".join(",".join(row) for row in [header, *rows]) + "\n")
    return sealed(run)


def sealed(run):
    if json.loads((run.path / "summary.json").read_text())["state"] == "finished":
        seal(run.path)
    return Run.open(run.path)
