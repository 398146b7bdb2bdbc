"""Reports of the dashboard beyond a sweep of like runs: all single runs together, and runs that a page cannot compare."""

import html
import re
import shlex

from attncompare.dashboard.watch import Watch


def report(dashboard, group_id):
    status, _, body = dashboard.ask(f"/report/{group_id}/page")
    return status, body.decode()


def offered(page):
    """Return the command of a page, as a shell would take it apart."""
    return shlex.split(html.unescape(re.search(r"<pre[^>]*>(.*?)</pre>", page, re.DOTALL)[1]))


def sweep_of(add_run, asked, folder="my sweep"):
    for number, (attention, more) in enumerate(asked):
        run = add_run(f"{folder}/{number}", attention, more=more)
    (run.path.parent / "sweep.yaml").write_text("runs: []\n")
    return run.path.parent


def test_single_runs_have_a_report_together(dashboard, add_run, runs):
    from attncompare.compare.gathering import gather
    from attncompare.compare.groups import compare_groups
    from attncompare.compare.report import report_page

    single = [add_run("a", "dot").path, add_run("days/b", "additive").path]
    add_run("c", "scaled", state="interrupted")
    sweep_of(add_run, [("causal", ())])
    singles = Watch(runs).singles_id
    assert f'data-singles="{singles}"'.encode() in dashboard.ask("/")[2]
    assert report(dashboard, singles) == (200, report_page(compare_groups(gather(single).runs)))
    assert dashboard.ask(f"/report/{singles}")[0] == dashboard.ask(f"/group/{singles}.json")[0] == 200


def test_single_runs_that_have_not_finished_have_no_report_yet(dashboard, add_run, runs):
    add_run("a", state="interrupted")
    status, page = report(dashboard, Watch(runs).singles_id)
    assert status == 409 and "no run has finished yet" in page


def test_a_damaged_single_run_is_named(dashboard, add_run, runs):
    add_run("a")
    (add_run("b").path / "predictions.jsonl").write_text("")
    status, page = report(dashboard, Watch(runs).singles_id)
    assert status == 409 and "b/predictions.jsonl" in page and str(runs) not in page


def test_where_one_key_varies_the_command_tunes_it(dashboard, add_run, cli):
    rates = [(name, (f"optimizer.lr={lr}",)) for name in ("dot", "additive") for lr in ("0.002", "0.004")]
    folder = sweep_of(add_run, rates)
    status, page = report(dashboard, dashboard.groups()[0]["id"])
    assert status == 409 and "optimizer.lr is 0.002" in page
    assert offered(page) == ["attncompare", "compare", str(folder), "--tune", "optimizer.lr"]
    code, out, _ = cli(*offered(page)[1:])
    assert code == 0 and "optimizer.lr was picked for each variant" in " ".join(out.split())


def test_where_a_value_cannot_be_picked_the_command_says_the_differences(dashboard, add_run, cli):
    folder = sweep_of(add_run, [("dot", ("optimizer.lr=0.002",)), ("additive", ("optimizer.lr=0.004",))])
    _, page = report(dashboard, dashboard.groups()[0]["id"])
    assert offered(page) == ["attncompare", "compare", str(folder), "--force"]
    assert cli(*offered(page)[1:])[0] == 0


def test_the_command_for_single_runs_names_each(dashboard, add_run, runs):
    rates = [add_run(f"run {lr}", more=(f"optimizer.lr={lr}",)).path for lr in ("0.002", "0.004")]
    _, page = report(dashboard, Watch(runs).singles_id)
    assert offered(page) == ["attncompare", "compare", *map(str, rates), "--tune", "optimizer.lr"]
