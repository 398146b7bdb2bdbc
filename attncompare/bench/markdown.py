"""A report as markdown, as the docs hold it."""

from attncompare.bench.facts import machine_line
from attncompare.bench.report import Report, Row, Table
from attncompare.bench.values import quartiles, shown


def as_markdown(report: Report) -> str:
    """Return the command, the tables of ``report`` with their notes, and the machine."""
    parts = [f"```bash\n{report.command}\n```", *(_table(table) for table in report.tables)]
    return "\n\n".join([*parts, f"{machine_line(report.machine)}."]) + "\n"


def _table(table: Table) -> str:
    titles = [*table.labels, *(column.title for column in table.columns)]
    rule = ["---"] * len(table.labels) + ["--:"] * len(table.columns)
    lines = [_line(titles), _line(rule), *(_row(table, row) for row in table.rows)]
    return "\n\n".join([f"**{table.title}**", "\n".join(lines), *table.notes])


def _row(table: Table, row: Row) -> str:
    cells = []
    for column in table.columns:
        value = row.values.get(column.key)
        around = quartiles(value, column.kind)
        cells.append(f"{shown(value, column.kind)}{f' {around}' if around else ''}")
    label = (*row.label[:-1], f"{row.label[-1]}: {row.note}") if row.note else row.label
    return _line([*label, *cells])


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
