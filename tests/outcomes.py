"""What two runs must share to be the same run: every file and every number but those that a clock measured."""

import csv
import json

CLOCK = ("train/tokens_per_second", "train/seconds")
# What differs between a run and the same run interrupted and resumed, or trained again: time, place and its own story.
MEASURED = ("cost", "wall_seconds", "resumed", "wandb", "group", "config_sha256")
# The log tells when, the config where; the page and the manifest hold the run's name and the summary's hash.
_OWN = ("run.log", "config.yaml", "overrides.yaml", "manifest.json", "summary.json", "metrics.csv", "maps/index.html")


def rows(run):
    """The lines of metrics.csv as text, so that a double row or another rounding shows."""
    with (run.path / "metrics.csv").open(newline="") as file:
        return [{key: cell for key, cell in row.items() if key not in CLOCK} for row in csv.DictReader(file)]


def files(run):
    """The bytes of every file that a repetition must give again, and the names of all others."""
    paths = {file.relative_to(run.path).as_posix(): file for file in run.path.rglob("*") if file.is_file()}
    paths = {name: file for name, file in paths.items() if not name.startswith("wandb/")}
    return {name: None if name in _OWN else file.read_bytes() for name, file in paths.items()}


def outcome(run):
    summary = json.loads((run.path / "summary.json").read_text())
    return {
        "settings": run.config.settings(),
        "rows": rows(run),
        "summary": {key: value for key, value in summary.items() if key not in MEASURED},
        "cost": {key: summary["cost"][key] for key in ("parameters", "train_flops_per_token")},
        "files": {name: content for name, content in files(run).items() if name != "environment.json"},
    }


def assert_same(run, reference):
    """Fail with the first thing that differs."""
    one, other = outcome(run), outcome(reference)
    assert one["settings"] == other["settings"]
    assert one["rows"] == other["rows"]
    assert one["summary"] == other["summary"]
    assert one["cost"] == other["cost"]
    assert one["files"].keys() == other["files"].keys()
    different = [name for name, content in one["files"].items() if content != other["files"][name]]
    assert different == []
