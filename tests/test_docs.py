"""What the documentation prints is what the commands print."""

import importlib.util
import re
from pathlib import Path

import pytest

from attncompare.record import find_runs, unpack

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def tables():
    spec = importlib.util.spec_from_file_location("tables", ROOT / "docs/tables.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("page", ["README.md", "docs/reference.md", "docs/results.md"])
def test_tables_are_those_of_the_records_that_come_with_the_code(tables, page):
    text = (ROOT / page).read_text()
    assert "<!-- compare " in text and tables.renewed(text) == text  # make tables


def test_every_test_that_the_reliability_page_names_is_there():
    named = set(re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", (ROOT / "docs/reliability.md").read_text()))
    assert len(named) > 20
    for file, test in named:
        assert (ROOT / file).is_file(), file
        assert f"def {test}" in (ROOT / file).read_text(), test


def test_the_python_of_the_page_on_python_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / "docs/python.md").read_text(), re.MULTILINE | re.DOTALL)
    names = {}
    for block in blocks:
        exec(compile(block, "python.md", "exec"), names)
    assert names["run"].unseen("three elephants ago") == ["elephants"]
    assert set(names["bleu"].index) == {"dot", "scaled", "multihead"} and (tmp_path / "maps.png").is_file()
    assert set(names["ac"].__all__) >= set(re.findall(r"`ac\.(\w+)", (ROOT / "docs/python.md").read_text()))


@pytest.mark.parametrize("preset", ["multi30k", "multi30k_recurrent", "shakespeare", "nanogpt_cpu"])
def test_figures_of_presets_are_those_of_their_records(preset, tmp_path):
    (row,) = re.findall(rf"^\| `{preset}` \| .*$", (ROOT / "docs/results.md").read_text(), re.MULTILINE)
    (run,) = find_runs([unpack(ROOT / "runs/reference" / f"{preset}.tar.xz", tmp_path)])
    found = run.summary
    scores = {"BLEU": "bleu", "chrF": "chrf", "TER": "ter", "nats": "loss"}
    said = re.findall(r"([\d.]+)(?:\*\*)? (BLEU|chrF|TER|nats)\b", row.split(" | ")[2])
    assert said
    for figure, name in said:
        digits = len(figure.partition(".")[2])
        assert f"{found['test'][scores[name]]:.{digits}f}" == figure
    assert f"{found['steps']} steps, {found['cost']['train_seconds']:.0f} s" in row
