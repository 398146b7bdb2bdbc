"""``attncompare compare`` as users meet it: the page in a browser, the command, the data, and W&B."""

import json
import math
import shutil
from pathlib import Path

import pytest
from browser import needs_browser, opened, picture
from sample_maps import sample_site

from attncompare.compare import Options, compare, compare_groups
from attncompare.compare.command import default_page
from attncompare.compare.page import report_page, write_report
from attncompare.errors import Refused, RunFailed
from attncompare.maps import ProbeMaps
from attncompare.record import Run, write_yaml

DRAWN = "html[data-drawn=all]"
VARIANTS = ("additive", "dot", "scaled", "causal", "multihead")


@pytest.fixture
def ten_runs(make_run, sample_maps):
    return [
        make_run(
            f"sweep/{task}-{name}",
            *(f"task={task}", f"attention={name}"),
            maps=sample_maps(4 if name == "multihead" else 1),
        )
        for task in ("translation", "language_model")
        for name in VARIANTS
    ]


@pytest.fixture
def seeds(make_run, sample_maps):
    """Three variants with six seeds each: dot is clearly worse and faster."""
    figures = {"additive": (2.0, 10_000.0), "dot": (3.0, 20_000.0), "multihead": (1.99, 15_000.0)}

    return [
        make_run(
            f"{name}{seed}",
            *("task=language_model", f"attention={name}", f"seed={seed}"),
            test={"loss": loss + (-1) ** (seed + len(name)) / (50 + seed)},
            cost={"tokens_per_second": speed},
            maps=sample_maps(4 if name == "multihead" else 1),
        )
        for name, (loss, speed) in figures.items()
        for seed in range(1, 7)
    ]


@pytest.fixture
def page_of(tmp_path):
    def write(runs):
        write_report(compare_groups(runs), tmp_path / "report.html")
        return tmp_path / "report.html"

    return write


@needs_browser
@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True)])
def test_the_report_works_alone(ten_runs, page_of, width, dark):
    file = page_of(ten_runs)
    assert file.stat().st_size < 1e6
    with opened(file, width, dark) as (page, problems):
        page.wait_for_selector(DRAWN)
        assert page.locator("section.task").count() == 2
        assert page.locator(".curves .chart svg").count() == page.locator(".curves .chart").count() == 9
        assert page.get_by_text("causal = scaled").count() > 0
        assert page.get_by_text("the <script>alert(1)</script>").count() > 0  # as text
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        maps = page.locator(".attention-maps").first
        before = maps.locator("canvas").count(), picture(page, 4)
        maps.get_by_label("Head", exact=True).select_option("head 2")
        assert (maps.locator("canvas").count(), picture(page, 4)) != before
        assert problems == []


@needs_browser
def test_the_curves_of_heads_are_drawn_once_they_are_asked_for(make_run, page_of):
    def heads(step):
        return step, {f"heads/cross/1.{head}/{name}": head / 4 for head in (1, 2) for name in ("entropy", "aer")}

    runs = [
        make_run(name, f"attention={name}", validations=[heads(0), (100, {"val/loss": 1.0}), heads(100)])
        for name in ("dot", "additive")
    ]
    with opened(page_of(runs)) as (page, problems):
        page.wait_for_selector(DRAWN)
        charts = page.locator("[data-curves^=heads] .chart")
        assert charts.count() == 2 and not charts.first.is_visible()
        page.get_by_text("What heads do").click()
        figure = page.locator("[data-curves^=heads] figure").nth(1)
        assert figure.locator("figcaption").inner_text() == "alignment error in cross-attention"
        assert charts.first.locator("path.line").count() == 2 * 3  # two heads and their mean
        page.wait_for_function("""() => {
            const chart = document.querySelector('[data-curves^=heads] .chart');
            return chart.querySelector('svg').viewBox.baseVal.width === chart.clientWidth; }""")
        page.get_by_role("button", name="dot").click()
        assert charts.first.locator("path.line").count() == 3
        charts.first.hover(position={"x": 80, "y": 100})
        assert "training step 0" in charts.first.locator(".tip").inner_text()
        assert page.evaluate("document.documentElement.scrollWidth") <= 1280
        assert problems == []


@needs_browser
def test_the_page_in_use(seeds, page_of):
    """Its first screen gives the answer; names hide variants, axes can be chosen, values are told, and paper fits."""
    with opened(page_of(seeds)) as (page, problems):
        page.wait_for_selector(DRAWN)
        seen = page.evaluate("""() => ['.headline', '.verdicts .decided', '.results tbody tr:last-child']
            .map((one) => document.querySelector(one).getBoundingClientRect().bottom)""")
        assert max(seen) < 900
        told = page.locator(".headline").inner_text()
        assert told == "dot is worse in loss. Which of additive and multihead is best is not decided."
        assert page.locator(".verdicts .decided").count() >= 2
        cell = page.locator(".results tbody tr").first.locator("td").nth(2).inner_text()
        assert "±" in cell and "[" in cell

        lines = page.locator(".curves .chart").first.locator("path.line")
        assert lines.count() == 3 * 7  # six seeds and their mean
        button = page.get_by_role("button", name="dot")
        button.focus()
        page.keyboard.press("Enter")
        assert button.get_attribute("aria-pressed") == "false" and lines.count() == 2 * 7
        page.keyboard.press("Enter")
        assert lines.count() == 3 * 7

        curve = page.locator(".curves .chart").nth(1)
        curve.scroll_into_view_if_needed()
        curve.hover(position={"x": 200, "y": 100})
        assert curve.locator(".tip p").count() == 3 and "training step 200" in curve.locator(".tip").inner_text()
        pareto = page.locator("[data-pareto]")
        assert "On the front" in pareto.locator("p.soft").inner_text()
        assert pareto.locator("text.name").all_text_contents() == ["additive", "dot", "multihead"]
        pareto.get_by_label("Quality", exact=True).select_option(label="loss")
        pareto.get_by_label("Cost", exact=True).select_option("parameters")
        assert pareto.locator("p.soft").inner_text().endswith(": additive, multihead.")
        assert page.get_by_role("heading", name="Seed by seed").is_visible()

        page.emulate_media(media="print", color_scheme="dark")
        page.wait_for_function("""() => {
            const chart = document.querySelector('.curves .chart'), [mine, its] = [chart, chart.querySelector('svg')];
            return its && its.getBoundingClientRect().width <= mine.getBoundingClientRect().width + 1; }""")
        assert page.locator(".keys").is_hidden() and page.locator(".choices").first.is_hidden()
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert problems == []


@pytest.mark.long
def test_the_page_of_two_hundred_runs_stays_below_ten_megabytes(make_run):
    steps = [(step, {"train/loss": 5 - step / 1000, "val/loss": 4.123456}) for step in range(10, 2010, 10)]
    probes = [ProbeMaps(n, "", (sample_site("cross", 6, 16, 40, 40),)) for n in range(4)]
    runs = [
        make_run(
            f"{name}-{heads}-{seed}",
            *(f"attention={name}", f"attention.heads={heads}", f"seed={seed}"),
            validations=steps,
            answers=["1. März 2024"] * 500,
            maps=[(step, probes) for step in range(100, 2100, 100)] if seed == 1 else (),
        )
        for name in VARIANTS[:4]
        for heads in (1, 2, 4, 8, 16)
        for seed in range(1, 11)
    ]
    assert len(report_page(compare_groups(runs)).encode()) < 10e6


def test_the_command_prints_tables_and_writes_the_page_into_the_sweep(
    ten_runs, make_run, capsys, monkeypatch, tmp_path
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    failed = make_run("sweep/lost", "attention=additive", "seed=2", state="failed", message="the loss is nan")
    sweep = ten_runs[0].path.parent
    (sweep / "sweep.yaml").write_text("runs: []")
    compare([sweep])
    printed = capsys.readouterr().out
    assert "Translation" in printed and "Language model" in printed and "causal = scaled" in printed
    assert "Note: 1 run was left out: " in printed and "lost: failed (the loss is nan)" in printed
    assert "Page: runs/sweep/report.html" in printed
    assert f"<code>{failed.path}</code> <b>failed</b>: the loss is nan" in (sweep / "report.html").read_text()
    compare([sweep], tmp_path / "new" / "page.html")
    assert (tmp_path / "new" / "page.html").exists()


def test_a_page_is_not_written_where_runs_are_refused_or_the_place_is_none(make_run, tmp_path):
    run = make_run("sweep/a")
    (tmp_path / "file").touch()
    with pytest.raises(Refused, match=r"--html .*cannot write"):
        compare([run.path], tmp_path / "file" / "page.html")
    make_run("failed/a", state="failed")
    with pytest.raises(Refused, match="failed"):
        compare([tmp_path / "runs" / "failed"])
    assert not list(tmp_path.rglob("*.html"))


def test_the_page_goes_into_the_folder_of_the_sweep_or_the_current_one(make_run, tmp_path):
    runs = [make_run("day/a"), make_run("day/b"), make_run("other/c")]
    names = {default_page(chosen, Options()) for chosen in (runs, runs[:2], runs[:1])}
    assert len(names) == 3 and {name.parent for name in names} == {Path()}
    assert default_page(runs[::-1], Options()) == default_page(runs, Options())
    (tmp_path / "runs/day/sweep.yaml").write_text("runs: []")
    assert default_page(runs[:2], Options()).resolve() == tmp_path / "runs/day/report.html"
    assert default_page(runs, Options()).parent == Path()
    others = [
        Options(metric="loss"),
        Options(equal="time"),
        Options(tune=("optimizer.lr",)),
        Options(margins=(("loss", 0.1),)),
    ]
    assert len({default_page(runs[:2], one).name for one in [Options(), *others]}) == 5  # none replaces another
    assert default_page(runs[:2], others[0]).name == "report-metric-loss.html"


@pytest.fixture
def sweep(make_run, tmp_path):
    for name, bleu in (("dot", 20.0), ("scaled", 30.0)):
        for seed in range(1, 7):
            loss = math.nan if (name, seed) == ("dot", 3) else 1.0
            make_run(
                f"sweep/{name}{seed}", f"attention={name}", f"seed={seed}", test={"bleu": bleu + seed, "loss": loss}
            )
    make_run("sweep/lost", "attention=causal", state="failed", message="the loss is nan")
    (tmp_path / "runs" / "sweep" / "sweep.yaml").write_text("runs: []")
    return tmp_path / "runs" / "sweep"


def test_the_whole_comparison_as_data(cli, sweep):
    code, _, err = cli("compare", sweep, "--json", "all.json", "--html", "page.html")
    assert code == 0, err
    text = Path("all.json").read_text(encoding="utf-8")
    data = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    (comparison,) = data["comparisons"]
    assert [variant["label"] for variant in comparison["variants"]] == ["dot", "scaled"]
    first = comparison["variants"][0]
    assert [run["seed"] for run in first["runs"]] == [1, 2, 3, 4, 5, 6] and first["runs"][0]["figures"]["bleu"] == 21.0
    assert math.isnan(float(first["runs"][2]["figures"]["loss"]))  # a text, as JSON has no such number
    assert (
        first["estimates"]["bleu"]["mean"] == pytest.approx(23.6)
        and first["estimates"]["bleu"]["interval"]["level"] == 0.95
    )
    verdict = comparison["verdicts"][0]
    assert (verdict["first"], verdict["second"], verdict["metric"]) == ("dot", "scaled", "bleu")
    assert verdict["decided"] and verdict["better"] == "scaled" and verdict["difference"]["mean"] == -10.0
    assert verdict["difference"]["p"] == 0.03125 and verdict["sentence"].startswith("scaled is better than dot")
    (lost,) = comparison["left_out"]
    assert lost["state"] == "failed" and lost["reason"] == "the loss is nan"


def test_each_further_set_of_seeds_is_another_look_at_a_stricter_level(cli, sweep, make_run):
    def seen(*options):
        code, _, err = cli("compare", sweep, "--json", "all.json", "--html", "page.html", *options)
        assert code == 0, err
        (comparison,) = json.loads(Path("all.json").read_text())["comparisons"]
        return comparison["looks"], comparison["verdicts"][0]["difference"]["level"]

    first = ([], 0.04)
    assert seen() == first and seen() == first  # the same seeds again
    for name in ("dot", "scaled"):
        make_run(f"sweep/{name}7", f"attention={name}", "seed=7")
    (look,), level = seen()
    assert look == {"seeds": [1, 2, 3, 4, 5, 6], "spent": 1 / 32}
    assert level == pytest.approx((0.05 - 1 / 32) / 2)
    shutil.rmtree(sweep / "dot7")
    shutil.rmtree(sweep / "scaled7")
    assert seen() == first
    for damaged in ("[]", '{"translation": 7}', "{", "[" * 100_000):
        (sweep / "looks.json").write_text(damaged)
        code, _, err = cli("compare", sweep, "--html", "page.html")
        assert code == 2 and "looks.json: damaged" in err and err.count("\n") == 1


def test_a_sweep_that_shares_runs_is_compared_whole_and_counts_the_looks_at_those_it_shares(cli, sweep, make_run):
    def seen(folder):
        code, out, err = cli("compare", folder, "--json", "all.json")
        assert code == 0, err
        assert f"Page: {folder}/report.html" in out
        (comparison,) = json.loads(Path("all.json").read_text())["comparisons"]
        return [len(look["seeds"]) for look in comparison["looks"]], len(comparison["variants"][0]["runs"])

    shutil.rmtree(sweep / "lost")
    runs = {Run.open(path.parent).config.hash(): f"sweep/{path.parent.name}" for path in sweep.glob("*/config.yaml")}
    assert seen(sweep) == ([], 6)
    folders = []
    for name, seeds in (("second", (7, 8)), ("third", (9,))):
        added = [(one, seed) for one in ("dot", "scaled") for seed in seeds]
        new = [make_run(f"{name}/{one}{seed}", f"attention={one}", f"seed={seed}") for one, seed in added]
        folders.append(sweep.parent / name)
        shared = {config: f"../{path}" for config, path in runs.items()}
        configs = [*runs, *(run.config.hash() for run in new)]
        write_yaml(
            folders[-1] / "sweep.yaml",
            {"runs": [[str(n)] for n, _ in enumerate(configs)], "shared": shared, "configs": configs},
        )
        runs |= {run.config.hash(): f"{name}/{run.path.name}" for run in new}
    assert seen(folders[0]) == ([6], 8)
    assert seen(folders[1]) == ([6, 8], 9)
    assert seen(sweep) == ([], 6) and seen(folders[0]) == ([6], 8), "the same seeds are the same look"


def test_fewer_seeds_than_can_decide_take_no_look(cli, make_run, tmp_path):
    for name in ("dot", "scaled"):
        for seed in range(1, 6):
            make_run(f"few/{name}{seed}", f"attention={name}", f"seed={seed}")
    (tmp_path / "runs" / "few" / "sweep.yaml").write_text("runs: []")
    assert cli("compare", tmp_path / "runs" / "few")[0] == 0
    assert not (tmp_path / "runs" / "few" / "looks.json").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--margin", "loss"), "METRIC=X"),
        (("--margin", "loss=-1"), "METRIC=X"),
        (("--margin", "blue=1"), "did you mean bleu?"),
        (("--vary", "data_seed"), "seed,order_seed"),
        (("--equal", "money"), "--equal"),
        (("--metric", "bleuu"), "did you mean bleu?"),
        (("--tune", "optimizer.lr"), "--tune optimizer.lr: every run has"),
        (("--equal", "time"), "--equal time: "),
        (("--json", "nowhere/all.json"), "--json nowhere/all.json: "),
        (("--json", "."), "--json .: "),
    ],
)
def test_options_that_do_not_fit_are_refused_in_one_line(cli, sweep, options, words):
    code, _, err = cli("compare", sweep, *options)
    assert code == 2 and words in err and err.count("\n") == 1


def test_the_comparison_in_wandb_holds_its_page_and_verdicts(sweep, monkeypatch, capsys):
    given = []
    monkeypatch.setattr(
        "attncompare.compare.command.show_comparison", lambda *a, **k: given.append((*a, k)) or "where it is"
    )
    for _ in range(2):
        compare([sweep], wandb=True)
    assert "W&B: where it is" in capsys.readouterr().out
    (page, summary, settings), again = given[0], given[1][2]
    assert page == sweep / "report.html" and not settings["online"] and again["id"] == settings["id"]
    assert "scaled is better than dot" in settings["notes"]
    assert (summary["runs"], summary["left_out"]) == (12, 1)


def test_where_wandb_fails_the_comparison_is_whole(sweep, monkeypatch, capsys):
    def fail(*_, **__):
        raise RunFailed("the disk of W&B is full")

    monkeypatch.setattr("attncompare.compare.command.show_comparison", fail)
    compare([sweep], wandb=True)
    out, err = capsys.readouterr()
    assert "Page: " in out and (sweep / "report.html").is_file()
    assert "the disk of W&B is full" in err and "the page are whole" in err
