"""docs/extending.md shows the files of the package as they are, and names all that the package imports."""

import ast
import importlib
import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent
PAGE = PACKAGE.parents[1] / "docs" / "extending.md"
BLOCK = re.compile(r"^`([\w./]+)`\n\n```(\w+)\n(.*?)```$", re.MULTILINE | re.DOTALL)
SOURCES = [*PACKAGE.glob("*/*.py")]


def shown(page):
    """Return the blocks of code under the name of a file."""
    return {path: text for path, _, text in BLOCK.findall(page)}


def with_files(page):
    """Return the page with each block that has a file in the package as the file is; run this file to write it."""

    def block(match):
        path, language, text = match.groups()
        file = PACKAGE / path
        return f"`{path}`\n\n```{language}\n{file.read_text() if file.exists() else text}```"

    return BLOCK.sub(block, page)


def test_the_page_shows_the_files_as_they_are():
    page = PAGE.read_text()
    assert with_files(page) == page, f"python {Path(__file__).name} writes them anew"
    files = {*SOURCES, *PACKAGE.rglob("*.yaml"), PACKAGE / "pyproject.toml"} - {*PACKAGE.rglob("__init__.py")}
    assert {file.relative_to(PACKAGE).as_posix() for file in files} <= set(shown(page))


def documented():
    rows = re.findall(r"^\| `(attncompare[\w.]*)` \| (`.*) \|$", PAGE.read_text(), re.MULTILINE)
    return {(module, name) for module, names in rows for name in re.findall(r"`(\w+)`", names)}


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_the_package_imports_only_what_the_page_names(source):
    for node in ast.walk(ast.parse(source.read_text())):
        names = [alias.name for alias in getattr(node, "names", ())]
        if isinstance(node, ast.Import):
            assert not any(name.startswith("attncompare") for name in names)
        elif isinstance(node, ast.ImportFrom) and node.module.split(".")[0] == "attncompare":
            assert {(node.module, name) for name in names} <= documented()


def test_every_name_on_the_page_is_there():
    assert documented()
    for module, name in documented():
        assert hasattr(importlib.import_module(module), name), (module, name)


if __name__ == "__main__":
    PAGE.write_text(with_files(PAGE.read_text()))
