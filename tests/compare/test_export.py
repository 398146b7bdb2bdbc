"""The table as files: CSV for programs, LaTeX and markdown for people, HTML for notebooks."""

import csv
import io
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attncompare.compare import compare_groups
from attncompare.compare.export import as_csv, as_latex, as_markdown, latex, rows
from attncompare.compare.table import result_table

SEEDS = range(1, 7)
HOSTILE = 'a_b & 5% #1 $x$ {y} \\end{table} ~^ <b>|*[z]* "q"'
ENGINES = [name for name in ("pdflatex", "lualatex", "xelatex", "tectonic") if shutil.which(name)]


@pytest.fixture
def comparisons(make_run):
    """Two tasks: dot is decided to be worse than scaled in translation; one seed each of a language model."""
    figures = {"dot": 20.0, "scaled": 40.0}
    runs = [
        make_run(
            f"{name}{seed}",
            *(f"attention={name}", f"seed={seed}"),
            test={"bleu": bleu + seed / 10, "exact_match": bleu / 100 + seed / 1000},
        )
        for name, bleu in figures.items()
        for seed in SEEDS
    ]
    runs += [make_run(f"lm-{name}", "task=language_model", f"attention={name}") for name in figures]
    return compare_groups(runs)


def test_csv_has_each_figure_with_its_interval_in_its_unit(comparisons):
    found = list(csv.DictReader(io.StringIO(as_csv(comparisons))))
    by_place = {(row["task"], row["variant"], row["name"]): row for row in found}
    match = by_place["translation", "scaled", "exact_match"]
    assert match["unit"] == "%" and float(match["low"]) < float(match["value"]) < float(match["high"])
    assert float(match["value"]) == pytest.approx(40.35) and match["n"] == "6" and match["best"] == "True"
    alone = by_place["language_model", "dot", "loss"]
    assert alone["low"] == alone["high"] == alone["sd"] == "" and float(alone["value"]) == 3.0
    for comparison in comparisons:
        shown = result_table(comparison).columns
        assert {row["name"] for row in found if row["task"] == comparison.task} == set(shown)


def test_the_frame_holds_what_the_csv_holds(comparisons):
    frame = comparisons[0].to_frame()
    assert frame.to_dict("records")[0]["variant"] == "dot" and len(frame) == len(rows(comparisons[:1]))
    wide = frame.pivot(index="variant", columns="name", values="value")
    assert wide.loc["scaled", "bleu"] == pytest.approx(40.35)


def bold(text, pattern):
    return {re.sub(r"\\?[\[{].*", "", cell).strip() for cell in re.findall(pattern, text)}


def test_bold_is_what_the_terminal_shows_bold(comparisons):
    tables = list(map(result_table, comparisons))
    best = {
        table.cell(row, name)
        for table in tables
        for row in table.rows
        for name in table.columns
        if table.is_best(row, name)
    }
    assert "40.35" in best and "20.35" not in best
    assert bold(as_latex(comparisons), r"\\textbf\{(.*?)\}") == best
    assert bold(as_markdown(comparisons), r"\*\*(.*?)\*\*") == best


def test_markdown_has_as_many_cells_in_each_line_and_its_intervals(comparisons):
    lines = [line for line in as_markdown(comparisons).splitlines() if line.startswith("|")]
    counts = [len(re.findall(r"(?<!\\)\|", line)) for line in lines]
    assert counts == [counts[0]] * 4 + [counts[-1]] * 4
    assert re.search(r"\*\*40\.35\*\* \\\[\d", lines[3])


def require_grammar(text):
    """Check what LaTeX would stumble over: environments and braces that do not close, and cells beyond the columns."""
    body = re.sub(r"(?<!\\)%.*", "", text)
    opened = []
    for kind, name in re.findall(r"\\(begin|end)\{(\w+)\}", body):
        opened.append(name) if kind == "begin" else opened.remove(name)
    assert not opened
    depth = 0
    for sign in re.sub(r"\\[{}]", "", body):
        depth += {"{": 1, "}": -1}.get(sign, 0)
        assert depth >= 0
    assert depth == 0
    body = re.sub(r"\$\\\w+\$", "", body)
    assert not re.search(r"(?<!\\)[#_^~]", body)
    outside = re.sub(r"\\begin\{tabular\}.*?\\end\{tabular\}", "", body, flags=re.DOTALL)
    assert not re.search(r"(?<!\\)[&$]", outside)
    for columns, table in re.findall(r"\\begin\{tabular\}\{([lr]+)\}(.*?)\\end\{tabular\}", body, re.DOTALL):
        lines = re.findall(r"^(.*) \\\\$", table, re.MULTILINE)
        assert lines and {len(re.findall(r"(?<!\\)&", line)) + 1 for line in lines} == {len(columns)}
        assert [table.count(rf"\{rule}rule") for rule in ("top", "mid", "bottom")] == [1, 1, 1]


@pytest.fixture
def hostile(comparisons, monkeypatch):
    """Let each title and label of the table hold all that has a meaning elsewhere."""

    def table_of(comparison):
        table = result_table(comparison)
        named = [
            replace(row, variant=replace(row.variant, label=f"{row.variant.label} {HOSTILE}")) for row in table.rows
        ]
        return replace(table, title=HOSTILE, rows=tuple(named), notes=(HOSTILE,))

    monkeypatch.setattr("attncompare.compare.export.result_table", table_of)
    return comparisons


def test_latex_follows_the_grammar(comparisons):
    require_grammar(as_latex(comparisons))


def test_latex_follows_the_grammar_whatever_a_label_holds(hostile):
    require_grammar(as_latex(hostile))
    with pytest.raises(AssertionError):
        require_grammar(as_latex(hostile).replace(r"\&", "&", 1))


@pytest.mark.skipif(not ENGINES, reason="no TeX is installed")
@pytest.mark.parametrize("made", ["comparisons", "hostile"])
def test_latex_compiles(request, made, tmp_path):
    tables = as_latex(request.getfixturevalue(made))
    document = rf"\documentclass{{article}}\usepackage{{booktabs}}\begin{{document}}{tables}\end{{document}}"
    (tmp_path / "table.tex").write_text(document.replace("% \\usepackage{booktabs}\n", "\n"))
    options = [] if ENGINES[0] == "tectonic" else ["-interaction=nonstopmode", "-halt-on-error"]
    done = subprocess.run(
        [ENGINES[0], *options, "table.tex"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:]


@given(st.text(st.characters(codec="ascii")))
def test_no_ascii_text_is_a_command_of_latex(text):
    safe = re.sub(r"\\text\w+\{\}|\\[&%$#_{}]|\{[\[\]]\}|\$\\(pm|leq)\$", "", latex(text))
    assert not set(safe) & set("\\&%$#_{}~^<>|[]")


def test_a_notebook_shows_labels_as_text(hostile):
    page = hostile[0]._repr_html_()
    assert "<b>|" not in page and page.count("&lt;b&gt;|") == 4


def test_a_notebook_shows_the_table_and_the_verdicts(comparisons):
    page = comparisons[0]._repr_html_()
    assert "<b>40.35</b> [" in page and "scaled is better than dot" in page
    assert repr(comparisons[0]).startswith("Comparison(Translation: dot, scaled; 12 runs")


@pytest.mark.parametrize("option", ["--csv", "--latex", "--markdown"])
def test_the_command_writes_each_beside_the_page_and_refuses_a_folder(cli, make_run, tmp_path, option):
    run = make_run("a").path
    code, _, _ = cli("compare", run, option, "table", "--html", "page.html")
    assert code == 0 and "scaled" in Path("table").read_text()
    Path("page.html").unlink()
    code, out, err = cli("compare", run, option, tmp_path, "--html", "page.html")
    assert code == 2 and out == "" and len(err.splitlines()) == 1 and not Path("page.html").exists()
