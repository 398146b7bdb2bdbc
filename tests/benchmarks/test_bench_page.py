"""The page of a benchmark: tables without scripts, pictures with them, nothing asked of any network."""

from browser import needs_browser, opened
from test_report_forms import MACHINE

from attncompare.bench.page import report_page
from attncompare.bench.report import Column, Line, Picture, Report, Row, Table
from attncompare.bench.spread import Spread

EVIL = "</script><b>name</b>"
TIME = Spread(0.01, 0.009, 0.012, 5)
LINES = Picture("Over length", "length", "seconds", (64.0, 256.0), (Line("ours", (TIME, 0)), Line(EVIL, (None, TIME))))
BARS = Picture("Bars", "", "seconds", ("ours", EVIL), (Line("median", (TIME, TIME)),))
ROWS = (Row(("64", "ours"), {"seconds": TIME}), Row(("64", EVIL), {}, "not installed: pip install it"))
TABLE = Table("A table", ("length", "who"), (Column("seconds", "time", "seconds"),), ROWS, ("A note.",), (LINES, BARS))
PAGE = report_page(Report("attncompare bench x", MACHINE, {}, [TABLE]))


def test_all_figures_stand_in_the_tables():
    assert "10.0 ms<i>[9.00, 12.0]</i>" in PAGE
    assert "not installed: pip install it" in PAGE
    assert "A processor, 2 cores" in PAGE
    assert EVIL not in PAGE


@needs_browser
def test_the_pictures_are_drawn_and_nothing_else_is_asked_for(tmp_path):
    path = tmp_path / "page.html"
    path.write_text(PAGE)
    with opened(path) as (page, problems):
        page.wait_for_selector("html[data-drawn=all]")
        assert page.locator(".chart .main-svg").count() >= 2
        assert page.locator(".chart").first.locator(".scatterlayer .trace").count() == 2
        assert page.locator(".chart").last.locator(".bars .point").count() == 2
        assert problems == []
