"""The dataset ``docsum``: functions, or bodies of docstrings, of the Python standard library, and their first lines.

A docstring begins with a line that sums it up (PEP 257), so that the library is a corpus of texts with summaries.
"""

import ast
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from attncompare.config.values import SplitFraction
from attncompare.data.dataset import Dataset, DatasetConfig
from attncompare.data.standard_library import Documented, documented, source_files, source_folder, split_by_module

if TYPE_CHECKING:
    from attncompare.data.corpus import Corpus


class Docsum(Dataset):
    """``data=docsum``: whole modules go to one split; no two pairs share a source or a summary."""

    kind = "parallel"

    class Config(DatasetConfig):
        """What is summed up, and the shares of the text that become val and test."""

        source: Literal["code", "body"]
        val_fraction: SplitFraction
        test_fraction: SplitFraction

    config: Config

    def load(self) -> "Corpus":
        """Read the pairs; refused if this Python comes without the source of its library."""
        from attncompare.data.corpus import Corpus, corpus

        config = self.config
        modules, left_out = pairs(source_folder("docsum"), config.source)
        sizes = {name: sum(len("".join(pair).encode()) for pair in found) for name, found in modules.items()}
        splits = split_by_module(sizes, config.val_fraction, config.test_fraction, "docsum", self.data_seed)
        rows = {split: [pair for name in names for pair in modules[name]] for split, names in splits.items()}
        columns = {
            split: {"source": [source for source, _ in found], "target": [summary for _, summary in found]}
            for split, found in rows.items()
        }
        return Corpus(corpus(columns).splits, origin={"left_out": dict(left_out)})


def pairs(folder: Path, source: Literal["code", "body"]) -> tuple[dict[str, list[tuple[str, str]]], Counter[str]]:
    """Return sources and summaries below ``folder`` by top-level module, and how many were left out, and why.

    ``empty``: the docstring is its first line, or the function its docstring; ``repeated``: the source or the summary is
    that of an earlier pair.
    """
    of_node = {"code": _code, "body": _body}[source]
    left_out = Counter({"empty": 0, "repeated": 0})
    sources, summaries = set[str](), set[str]()
    modules: dict[str, list[tuple[str, str]]] = {}
    for name, files in source_files(folder).items():
        for node, docstring in (found for file in files for found in documented(file)):
            text, summary = of_node(node, docstring), docstring.partition("\n")[0].strip()
            if text is None:
                continue
            if not text:
                left_out["empty"] += 1
            elif text in sources or summary in summaries:
                left_out["repeated"] += 1
            else:
                sources.add(text)
                summaries.add(summary)
                modules.setdefault(name, []).append((text, summary))
    return modules, left_out


def _code(node: Documented, _: str) -> str | None:
    """Return the source of a function without decorators, docstring and indentation; None where it is something else."""
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return None
    if not node.body[1:]:
        return ""
    fields = {**dict(ast.iter_fields(node)), "body": node.body[1:], "decorator_list": []}
    lines = ast.unparse(ast.copy_location(type(node)(**fields), node)).splitlines()
    return "\n".join(stripped for line in lines if (stripped := line.strip()))


def _body(_: Documented, docstring: str) -> str:
    """Return what follows the first line, each paragraph on a line of its own."""
    paragraphs = docstring.partition("\n")[2].split("\n\n")
    return "\n".join(joined for paragraph in paragraphs if (joined := " ".join(paragraph.split())))
