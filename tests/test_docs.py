"""What the documentation prints is what the commands print."""

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def tables():
    spec = importlib.util.spec_from_file_location("tables", ROOT / "docs/tables.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("page", ["README.md", "docs/reference.md"])
def test_tables_are_those_of_the_records_that_come_with_the_code(tables, page):
    text = (ROOT / page).read_text()
    assert "<!-- compare " in text and tables.renewed(text) == text  # make tables
