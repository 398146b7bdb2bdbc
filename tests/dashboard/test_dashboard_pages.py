"""The pages in a real browser: they follow what happens in the folder, and show hostile names as text."""

import pytest
from browser import needs_browser
from commands import ENDLESS, Started
from dashboards import visited

pytestmark = needs_browser
HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script>"


def wait_until(page, expression, met):
    """Ask for ``expression`` until ``met`` says yes to its value, and return that; the page's policy forbids its own eval."""
    while not met(value := page.evaluate(expression)):
        page.wait_for_timeout(200)
    return value


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True)])
def test_the_list_follows_the_folder(dashboard, add_run, runs, width, dark):
    with visited(dashboard.url, width, dark) as (page, problems):
        page.get_by_text("No runs yet.").wait_for()
        run = add_run("sweep/one")
        (run.path.parent / "sweep.yaml").write_text("runs: [[a], [b], [c]]\n")
        page.get_by_role("link", name="dot, seed 1").wait_for()
        add_run("sweep/two", "additive", state="failed", message=HOSTILE)
        page.get_by_text(HOSTILE).wait_for()
        assert page.get_by_text("1 waiting").count() == 1
        assert page.get_by_role("link", name="Report", exact=True).count() == 1
        assert page.locator("svg.spark").count() == 2
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert problems == []


def test_single_runs_have_a_link_to_their_report(dashboard, add_run):
    add_run("a")
    add_run("b", "additive")
    with visited(dashboard.url) as (page, problems):
        page.get_by_role("link", name="Report of 2 runs").click()
        page.frame_locator("#report").get_by_text("additive").first.wait_for(state="attached")
        page.get_by_text("2 of 2 runs have finished").wait_for()
        assert problems == []


def test_hostile_names_are_text_everywhere(dashboard, add_run, runs):
    add_run(f"{HOSTILE}'/\"&quot;", state="interrupted", message=HOSTILE)
    (group,) = dashboard.groups()
    with visited(dashboard.url) as (page, problems):
        for path in ("/", f"/group/{group['id']}", f"/run/{group['id']}", f"/run/{group['id']}/maps"):
            page.goto(dashboard.url + path)
            page.get_by_text("onerror=alert(1)").first.wait_for()
            assert page.locator("img").count() == 0
        assert problems == []


def test_the_curves_of_a_sweep_grow(dashboard, add_run):
    run = add_run("sweep/one", state="interrupted", steps=(100,))
    (run.path.parent / "sweep.yaml").write_text("runs: [[a]]\n")
    (group,) = dashboard.groups()
    with visited(f"{dashboard.url}/group/{group['id']}") as (page, problems):
        page.locator(".curve .main-svg").first.wait_for()
        assert page.locator("figcaption").all_text_contents()[:3] == [
            "training loss",
            "validation loss",
            "validation BLEU",
        ]
        points = "document.querySelector('.curve').data[0].x.length"
        assert page.evaluate(points) == 1
        with (run.path / "metrics.csv").open("a") as file:
            file.write("150,0,1.0,31.0,,,,,\n")
        wait_until(page, points, lambda number: number == 2)
        assert problems == []


def test_a_run_offers_its_files_and_maps(dashboard, add_run):
    add_run("it")
    (group,) = dashboard.groups()
    with visited(f"{dashboard.url}/run/{group['id']}") as (page, problems):
        page.get_by_role("link", name="metrics.csv").wait_for()
        assert page.get_by_text("test BLEU").count() == 1
        page.get_by_role("link", name="Attention maps").click()
        page.wait_for_selector("canvas")
        assert problems == []


def test_the_report_is_loaded_again_unless_somebody_reads_it(dashboard, add_run):
    run = add_run("sweep/one")
    (run.path.parent / "sweep.yaml").write_text("runs: [[a], [b], [c]]\n")
    (group,) = dashboard.groups()
    with visited(f"{dashboard.url}/report/{group['id']}") as (page, problems):
        frame = page.frame_locator("#report")
        frame.get_by_text("dot").first.wait_for(state="attached")
        add_run("sweep/two", "additive")
        frame.get_by_text("additive").first.wait_for(state="attached")
        frame.locator("body").click(position={"x": 2, "y": 2})
        add_run("sweep/three", "scaled")
        page.get_by_role("button", name="Show the new results").click()
        frame.get_by_text("scaled").first.wait_for(state="attached")
        assert page.get_by_text("3 of 3 runs have finished").count() == 1
        assert problems == []


@pytest.mark.long
def test_a_run_is_watched_while_it_trains(dashboard, runs, tmp_path):
    with visited(dashboard.url) as (page, problems):
        training = Started("train", *ENDLESS, "tracking=disabled", f"runs={runs}", cwd=tmp_path)
        try:
            page.get_by_text("running", exact=True).first.wait_for(timeout=120_000)
            step = "Number(document.querySelector('.done').textContent.split('/')[0])"
            before = wait_until(page, step, lambda number: number > 0)
            wait_until(page, step, lambda number: number > before)
        finally:
            training.interrupt()
            training.end()
        page.get_by_text("interrupted", exact=True).first.wait_for()
        assert problems == []
