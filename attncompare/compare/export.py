"""The table of a comparison for papers, pages, spreadsheets and notebooks: figures with the intervals of their means."""

import csv
import io
import math
import re
from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from attncompare.compare.groups import Comparison
from attncompare.compare.table import ResultTable, Row, result_table
from attncompare.compare.verdicts import in_order, verdicts
from attncompare.text import COSTS, printable

if TYPE_CHECKING:
    from pandas import DataFrame

_FIELDS = ("task", "variant", "same_as", "heads", "name", "unit", "value", "low", "high", "level", "sd", "n", "best")
# What LaTeX reads as a command, and signs that text fonts lack.
_LATEX = {
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    **{"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$", "–": "--"},
    **{"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", '"': r"\textquotedbl{}", "≤": r"$\leq$"},
    **{"[": "{[}", "]": "{]}"},  # else an option of the command before it
}


def rows(comparisons: Sequence[Comparison]) -> list[dict[str, Any]]:
    """Return one row for each figure of each variant, not rounded, in the unit that it names; None for what is not known.

    ``low`` and ``high`` bound the mean with the confidence ``level``, over ``n`` seeds of the standard deviation ``sd``;
    ``best`` is whether the terminal shows it bold.
    """
    found = []
    for comparison in comparisons:
        table = result_table(comparison)
        for row in table.rows:
            for name, column in table.columns.items():
                own, scale = row.estimates.get(name), 1.0 if name in COSTS else column.scale()
                interval = own.interval if own else None
                figures: dict[str, float | None] = {
                    "value": row.values[name],
                    "low": interval.low if interval else None,
                    "high": interval.high if interval else None,
                    "sd": own.sd if own else None,
                }
                found.append(
                    {
                        "task": comparison.task,
                        "variant": row.variant.label,
                        "same_as": row.variant.same_as,
                        "heads": row.heads,
                        "name": name,
                        "unit": column.unit,
                        **{key: None if one is None else one * scale for key, one in figures.items()},
                        "level": interval.level if interval else None,
                        "n": own.n if own else None,
                        "best": table.is_best(row, name),
                    }
                )
    return found


def as_frame(comparison: Comparison) -> "DataFrame":
    """Return :func:`rows` of one comparison as a pandas table."""
    from pandas import DataFrame  # takes long

    return DataFrame(rows([comparison]), columns=list(_FIELDS))


def as_csv(comparisons: Sequence[Comparison]) -> str:
    """Return :func:`rows` as CSV with a header; what is not known is empty, a diverged figure ``nan`` or ``inf``."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, _FIELDS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows(comparisons))
    return buffer.getvalue()


def as_markdown(comparisons: Sequence[Comparison]) -> str:
    """Return a heading and a table of GitHub's markdown for each task, with the caption and the notes below."""
    parts = []
    for table in map(result_table, comparisons):
        heads, lines = _cells(table, _markdown, "**{}**")
        rule = "|---" + "|---:" * (len(heads) - 1) + "|"
        parts.append(f"### {_markdown(table.title)}\n")
        parts.append(
            "\n".join([f"| {' | '.join(heads)} |", rule, *(f"| {' | '.join(line)} |" for line in lines)]) + "\n"
        )
        parts.append(f"{_markdown(_caption(table))}\n")
        parts += [f"- {_markdown(note)}." for note in table.notes] + ([""] if table.notes else [])
    return "\n".join(parts).rstrip() + "\n"


def as_latex(comparisons: Sequence[Comparison]) -> str:
    r"""Return a ``table`` in the style of booktabs for each task; the document needs ``\usepackage{booktabs}``."""
    parts = [r"% \usepackage{booktabs}"]
    for comparison, table in ((one, result_table(one)) for one in comparisons):
        heads, lines = _cells(table, latex, r"\textbf{{{}}}")
        body = [" & ".join(line) + r" \\" for line in lines]
        label = re.sub(r"[^A-Za-z0-9]+", "-", comparison.task)
        parts += [
            *(r"\begin{table}", r"\centering", rf"\caption{{{latex(table.title)}. {latex(_caption(table))}}}"),
            *(rf"\label{{tab:{label}}}", rf"\begin{{tabular}}{{l{'r' * (len(heads) - 1)}}}", r"\toprule"),
            *(" & ".join(heads) + r" \\", r"\midrule", *body, r"\bottomrule", r"\end{tabular}", r"\end{table}"),
            *(f"% {printable(note)}." for note in table.notes),
        ]
    return "\n".join(parts) + "\n"


def as_html(comparison: Comparison) -> str:
    """Return table, caption, verdicts and notes as a fragment of HTML for a notebook."""
    table = result_table(comparison)
    heads, lines = _cells(table, escape, "<b>{}</b>")
    top = "".join(f"<th>{one}</th>" for one in heads)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in line)}</tr>" for line in lines)
    said = [*table.notes, *(one.sentence for one in in_order(verdicts(comparison)) if one.difference.n > 1)]
    told = "".join(f"<li>{escape(one)}.</li>" for one in said)
    title = f"<b>{escape(table.title)}</b><br>{escape(table.axes)}"
    return f"{title}<table><tr>{top}</tr>{body}</table>{escape(_caption(table))}<ul>{told}</ul>"


def latex(text: str) -> str:
    """Return ``text`` with each sign that LaTeX would read as a command written out."""
    return "".join(_LATEX.get(sign, sign) for sign in printable(text))


def _markdown(text: str) -> str:
    return re.sub(r"([\\`*_|<>\[\]])", r"\\\1", printable(text))


def _cells(table: ResultTable, safe: Callable[[str], str], bold: str) -> tuple[list[str], list[list[str]]]:
    """Return headings and lines as text that ``safe`` has made fit to be written, best figures as ``bold`` says."""
    counted = any(len(row.variant.runs) > 1 for row in table.rows)
    heads = ["variant", *(["n"] if counted else []), "heads", *map(_heading, table.columns.values())]
    lines = []
    for row in table.rows:
        line = [safe(row.variant.title), *([safe(row.count)] if counted else []), str(row.heads)]
        for name in table.columns:
            figure = safe(table.cell(row, name))
            interval = safe(_interval(table, row, name))
            line.append((bold.format(figure) if table.is_best(row, name) else figure) + interval)
        lines.append(line)
    return list(map(safe, heads)), lines


def _heading(column: Any) -> str:
    """Return the heading of the terminal, with its unit, in one line."""
    return str(column.short).replace("-\n", "").replace("/\n", "/").replace("\n/", "/").replace("\n", " ")


def _interval(table: ResultTable, row: Row, name: str) -> str:
    found = row.estimates.get(name)
    if found is None or found.interval is None:
        return ""
    low, high = (table.columns[name].format(end) for end in (found.interval.low, found.interval.high))
    return f" [{low}, {high}]"


def _caption(table: ResultTable) -> str:
    levels = {
        one.interval.level
        for row in table.rows
        for one in row.estimates.values()
        if one.interval and math.isfinite(one.interval.low)
    }
    return table.caption + "".join(
        f" In brackets {100 * level:.3g} % intervals of the mean." for level in sorted(levels)
    )


FORMATS: Mapping[str, Callable[[Sequence[Comparison]], str]] = {
    "csv": as_csv,
    "latex": as_latex,
    "markdown": as_markdown,
}
"""By option of ``attncompare compare``: what it writes."""
