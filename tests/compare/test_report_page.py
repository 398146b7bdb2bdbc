import subprocess
import sys

import pytest
from browser import needs_browser, opened, picture
from sample_maps import sample_site

from attncompare.compare.command import compare, default_page
from attncompare.compare.gathering import gather
from attncompare.compare.groups import compare_groups
from attncompare.compare.report import report_page, write_report
from attncompare.errors import Refused
from attncompare.maps.maps import ProbeMaps, save_maps
from attncompare.record import Run
from attncompare.record import seal


@pytest.fixture
def ten_runs(make_run):
    return [
        make_run(f"sweep/{task}-{name}", f"task={task}", f"attention={name}")
        for task in ("translation", "language_model")
        for name in ("additive", "dot", "scaled", "causal", "multihead")
    ]


DRAWN = "html[data-drawn=all]"


def losses(scale):
    """Return the losses of 80 documents, half of them long."""
    return [{"id": n, "nats": scale * (5.0 + n % 7), "tokens": 4, "bytes": 20 if n % 2 else 90} for n in range(80)]


@pytest.fixture
def seeds(make_run):
    """Three variants with six seeds each: dot is clearly worse and faster."""
    figures = {"additive": (30.0, 10_000.0), "dot": (20.0, 20_000.0), "multihead": (30.1, 15_000.0)}
    return [
        make_run(
            f"{name}{seed}",
            *("task=language_model", f"attention={name}", f"seed={seed}"),
            test={"loss": 5 - bleu / 10 + (-1) ** (seed + len(name)) / (50 + seed)},
            cost={"tokens_per_second": speed},
            losses=losses(5 - bleu / 10 + seed / 100),
        )
        for name, (bleu, speed) in figures.items()
        for seed in range(1, 7)
    ]


@needs_browser
@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True)])
def test_the_report_works_alone(ten_runs, tmp_path, width, dark):
    file = tmp_path / "report.html"
    write_report(compare_groups(ten_runs), file)
    with opened(file, width, dark) as (page, problems):
        page.wait_for_selector(DRAWN)
        assert page.locator("section.task").count() == 2
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


@needs_browser
def test_the_first_screen_says_which_is_better_whether_it_is_real_and_what_it_costs(seeds, tmp_path):
    file = tmp_path / "report.html"
    write_report(compare_groups(seeds), file)
    with opened(file) as (page, problems):
        seen = page.evaluate("""() => ['.headline', '.verdicts .decided', '.results tbody tr:last-child', '.costs']
            .map((one) => document.querySelector(one).getBoundingClientRect().bottom)""")
        assert max(seen) < 900
        assert page.locator(".headline").inner_text() == (
            "dot is worse in loss. Which of additive and multihead is best is not decided."
        )
        assert page.locator(".verdicts .decided").count() >= 2
        cell = page.locator(".results tbody tr").first.locator("td").nth(2).inner_text()
        assert "±" in cell and "[" in cell
        assert "10.0 k (additive) to 20.0 k (dot)" in page.locator(".costs").inner_text()
        assert problems == []


@needs_browser
def test_a_name_shows_and_hides_its_variant_also_from_the_keyboard(seeds, tmp_path):
    file = tmp_path / "report.html"
    write_report(compare_groups(seeds), file)
    with opened(file) as (page, problems):
        page.wait_for_selector(DRAWN)
        lines = page.locator(".curve").first.locator(".scatterlayer path.js-line")
        by_length = page.locator("[data-lengths] .scatterlayer .trace")
        before = lines.count(), by_length.count()
        button = page.get_by_role("button", name="dot")
        button.focus()
        page.keyboard.press("Enter")
        assert button.get_attribute("aria-pressed") == "false"
        assert lines.count() < before[0] and by_length.count() == before[1] - 1 == 2
        page.keyboard.press("Enter")
        assert (lines.count(), by_length.count()) == before
        assert problems == []


@needs_browser
def test_axes_of_cost_and_quality_can_be_chosen(seeds, tmp_path):
    file = tmp_path / "report.html"
    write_report(compare_groups(seeds), file)
    with opened(file, 390) as (page, problems):
        page.wait_for_selector(DRAWN)
        pareto = page.locator("[data-pareto]")
        assert "dot, multihead" in pareto.locator("p").inner_text()  # the fastest first
        assert [pareto.locator(".annotation-text", has_text=name).count() for name in ("additive", "dot")] == [1, 1]
        pareto.get_by_label("Cost", exact=True).select_option("parameters")
        assert pareto.locator("p").inner_text().endswith(": multihead.")
        lengths = page.locator("[data-lengths]")
        before = lengths.locator(".ytitle").text_content()
        lengths.get_by_label("Quality", exact=True).select_option("bits per byte")
        assert lengths.locator(".ytitle").text_content() != before
        heads = page.locator("[data-heads]")
        cells = heads.locator("td").all_inner_texts()
        assert len(cells) == 2 + 2 + 8  # two layers; multihead has four heads
        heads.get_by_label("Number", exact=True).select_option("largest weight")
        assert heads.locator("td").all_inner_texts() != cells
        assert problems == []


@needs_browser
def test_on_paper_every_picture_is_there_in_the_size_of_the_paper(seeds, tmp_path):
    file = tmp_path / "report.html"
    write_report(compare_groups(seeds), file)
    with opened(file, 1280, dark=True) as (page, problems):
        page.wait_for_selector(DRAWN)
        page.emulate_media(media="print")
        page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
        drawn = page.locator(".curve .svg-container").first.bounding_box()
        assert drawn["width"] == 330
        assert page.locator(".keys").is_hidden() and page.locator(".am-controls").is_hidden()
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        page.evaluate("window.dispatchEvent(new Event('afterprint'))")
        page.emulate_media(media="screen")
        assert page.locator(".curve .svg-container").first.bounding_box()["width"] > 330
        assert problems == []


@pytest.mark.long
def test_the_page_of_two_hundred_runs_stays_below_fifteen_megabytes(make_run):
    variants = [(name, heads) for name in ("additive", "causal", "dot", "scaled") for heads in (1, 2, 4, 8, 16)]
    steps = [(step, {"train/loss": 5 - step / 1000, "val/loss": 4.123456}) for step in range(10, 2010, 10)]
    runs = []
    for name, heads in variants:
        for seed in range(1, 11):
            given = (f"attention={name}", f"attention.heads={heads}", f"seed={seed}")
            run = make_run("-".join(given), *given, validations=steps, answers=["1. März 2024"] * 500)
            if seed == 1:
                site = sample_site("cross", 6, heads, 40, 40)
                for step in range(100, 2100, 100):
                    save_maps(
                        run.path / "maps" / f"step-{step:07d}.npz", step, [ProbeMaps(n, "", (site,)) for n in range(4)]
                    )
                seal(run.path)
            runs.append(Run.open(run.path))
    assert 5e6 < len(report_page(compare_groups(runs)).encode()) < 15e6


def test_runs_that_were_left_out_are_named_with_their_reason(make_run, tmp_path):
    make_run("sweep/a")
    make_run("sweep/b", "attention=dot")
    failed = make_run("sweep/c", "attention=additive", state="failed", message="the loss is nan")
    found = gather([tmp_path / "runs" / "sweep"])
    page = report_page(compare_groups(found.runs, left_out=found.left_out))
    assert "1 run is left out" in page and f"<code>{failed.path}</code> <b>failed</b>: the loss is nan" in page


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
