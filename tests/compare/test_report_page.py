import subprocess
import sys

import pytest
from browser import needs_browser, opened, picture

from attncompare.compare.command import compare, default_page
from attncompare.compare.curves import curve_figures, thin
from attncompare.compare.groups import compare_groups
from attncompare.compare.report import samples, write_report
from attncompare.errors import Refused


@pytest.fixture
def ten_runs(make_run):
    return [
        make_run(f"sweep/{task}-{name}", f"task={task}", f"attention={name}")
        for task in ("translation", "language_model")
        for name in ("additive", "dot", "scaled", "causal", "multihead")
    ]


@needs_browser
@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True)])
def test_the_report_works_alone(ten_runs, tmp_path, width, dark):
    file = tmp_path / "report.html"
    write_report(compare_groups(ten_runs), file)
    with opened(file, width, dark) as (page, problems):
        page.wait_for_selector("canvas")
        assert page.locator("section").count() == 2
        assert page.locator(".curve .main-svg").count() >= page.locator(".curve").count() == 9
        assert page.get_by_text("causal = scaled").count() > 0
        assert page.get_by_text("the <script>alert(1)</script>").count() > 0  # as text
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        maps = page.locator(".attention-maps").first
        assert maps.locator("canvas").count() == 8  # four variants with one head, one with four
        before = picture(page, 4)
        maps.get_by_label("Head", exact=True).select_option("head 2")
        assert maps.locator("canvas").count() == 5 and picture(page, 4) != before
        assert problems == []


def test_one_curve_for_each_variant_in_its_color(make_run):
    runs = [
        make_run(f"{name}{seed}", f"attention={name}", f"seed={seed}") for name in ("dot", "scaled") for seed in (1, 2)
    ]
    (comparison,) = compare_groups(runs)
    figures = {figure["title"]: figure for figure in curve_figures(comparison)}
    assert list(figures)[:3] == ["training loss", "validation loss", "validation BLEU"]
    lines = figures["training loss"]["data"]
    assert [line["name"] for line in lines] == ["dot", "dot", "scaled", "scaled"]
    assert lines[0]["x"] == [100, 200, 300] and lines[0]["y"] == [4.0, 3.0, 2.0]
    assert {line["line"]["color"] for line in lines} == {variant.color for variant in comparison.variants}
    assert figures["validation exact match"]["data"][0]["y"] == [25, 25, 25]  # percent, as its axis says


def test_long_curves_are_thinned_and_keep_both_ends():
    points = [(float(step), 0.0) for step in range(100_001)]
    kept = thin(points)
    assert 300 < len(kept) <= 601 and kept[0] == points[0] and kept[-1] == points[-1]
    assert thin(points[:50]) == points[:50]


def test_samples_on_which_variants_disagree_come_first(make_run):
    runs = [make_run("a", answer="{}. März"), make_run("b", "attention=dot", answer="2. März")]
    (comparison,) = compare_groups(runs)
    found = samples(comparison)
    assert [sample.agree for sample in found] == [False, False, True]
    assert found[0].given["reference"] == "1. März" and found[0].answers[1][1] == "2. März"


def test_the_command_prints_tables_and_writes_the_page_into_the_sweep(ten_runs, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    sweep = ten_runs[0].path.parent
    compare([sweep], None, False)
    printed = capsys.readouterr().out
    assert "Translation" in printed and "Language model" in printed and "causal = scaled" in printed
    assert "Page: runs/sweep/report.html" in printed and (sweep / "report.html").stat().st_size < 15e6
    compare([sweep], tmp_path / "new" / "page.html", False)
    assert (tmp_path / "new" / "page.html").exists()


def test_a_page_that_cannot_be_written_is_refused(make_run, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(Refused, match=r"--html .*cannot write"):
        compare([make_run("a").path], tmp_path / "file" / "page.html", False)


def test_a_page_is_not_written_where_runs_are_refused(make_run, tmp_path):
    make_run("a", state="failed")
    with pytest.raises(Refused, match="failed"):
        compare([tmp_path / "runs"], None, False)
    assert not list(tmp_path.rglob("report.html"))


def test_the_page_goes_into_the_innermost_common_folder(make_run, tmp_path):
    runs = [make_run("day/a"), make_run("day/b"), make_run("other/c")]
    assert default_page(runs[:2]).resolve() == tmp_path / "runs" / "day" / "report.html"
    assert default_page(runs[:1]).resolve() == tmp_path / "runs" / "day" / "report.html"
    assert default_page(runs).resolve() == tmp_path / "runs" / "report.html"


def test_comparing_never_imports_torch():
    code = "import sys, attncompare.compare.command; sys.exit('torch' in sys.modules or 'matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
