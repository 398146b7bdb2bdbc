"""A workspace and a report in W&B: said offline, built against a stand-in for W&B's server."""

import importlib.util
import json
import re
from dataclasses import replace

import pytest
from commands import inspect
from wandb_server import log_in, log_out, wandb_server

from attncompare.errors import Refused, RunFailed
from attncompare.wandb_logging import report
from attncompare.wandb_logging.report import Panel, Plan, Section, plan_of

needs_library = pytest.mark.skipif(
    importlib.util.find_spec("wandb_workspaces") is None, reason="the extra attncompare[wandb] is not installed"
)
HOSTILE = 'it\'s <b>"better"</b> or 1=1'
KEYS = {"line": "val/loss", "bar": "test/loss", "scatter": "test/loss", "media": "report", "table": "heads"}
PANELS = tuple(Panel(kind, kind, key, "cost/parameters") for kind, key in KEYS.items())
SECTIONS = (Section("One", "translation", PANELS), Section("Two", "comparison", PANELS[3:]))
PLAN = Plan("it", "p", None, "g", ("abcdefgh", "ijklmnop"), (HOSTILE,), SECTIONS, ("attncompare compare x",))


def test_offline_it_says_where_which_runs_panels_verdicts_and_commands(finished_run, capsys):
    report.build([finished_run], ["a verdict"], ["attncompare compare runs"], offline=True)
    said = capsys.readouterr().out
    sections = ("<your account>/attncompare", "Translation: on test", "against parameters", "attention maps")
    for words in (finished_run.summary["wandb"]["id"], *sections, "verdicts", "a verdict", "attncompare compare runs"):
        assert words in said


def test_everything_that_it_shows_of_runs_is_logged(finished_run):
    records = inspect(finished_run)
    logged = {key for row in records["history"] for key in row["item"]}
    logged |= {key for update in records["summary"] for key in update["update"]}
    logged = {re.sub(r"\._type$", "", key) for key in logged}
    plan = plan_of([finished_run], [], [])
    keys = {key for one in plan.sections[:-1] for panel in one.panels for key in (panel.key, panel.cost) if key}
    assert len(keys) > 12 and keys <= logged


def test_a_group_that_could_be_more_than_a_name_is_not_put_into_an_expression(finished_run):
    def planned(group):
        return plan_of([replace(finished_run, summary={**finished_run.summary, "group": group})], [], [])

    assert planned("2026-01-01-sweep").group == "2026-01-01-sweep"
    assert planned(HOSTILE).group is None


@pytest.mark.parametrize("known", [False, True])
def test_without_a_login_or_a_network_nothing_is_created(finished_run, monkeypatch, tmp_path, capsys, known):
    if known:
        log_in(monkeypatch, "http://127.0.0.1:9")  # a port where nothing listens
    else:
        log_out(monkeypatch, tmp_path)
    monkeypatch.setattr(report, "_REACH_SECONDS", 2)
    report.build([finished_run], [], ["the command"])
    first, *_, last = capsys.readouterr().out.splitlines()
    assert ("127.0.0.1:9" if known else "wandb login") in first and last == "the command"


@pytest.mark.skipif(needs_library.args[0] is False, reason="the extra attncompare[wandb] is installed")
def test_without_the_extra_it_says_how_to_install_it(finished_run, monkeypatch):
    with wandb_server(monkeypatch), pytest.raises(Refused, match="pip install"):
        report.build([finished_run], [], [])


@needs_library
def test_both_are_created_and_their_addresses_printed(finished_run, monkeypatch, capsys):
    with wandb_server(monkeypatch) as server:
        report.build([finished_run], [], [])
    out = capsys.readouterr().out
    assert re.search(r"^workspace: http://127\.0\.0\.1:\d+/me/attncompare\?nw=\w+$", out, re.M)
    assert re.search(r"^report: http://127\.0\.0\.1:\d+/me/attncompare/reports/\S+$", out, re.M)
    assert "wandb sync" in out  # these runs were logged offline
    assert [view["type"] for view in server.views] == ["runs", "project-view"]
    assert {view["entityName"] for view in server.views} == {"me"}


@needs_library
def test_where_the_server_takes_only_one_of_them_it_says_so(finished_run, monkeypatch, capsys):
    def refuse(self):
        raise ValueError("no")

    with wandb_server(monkeypatch):
        monkeypatch.setattr(type(report.workspace(PLAN, "me")), "save", refuse)
        with pytest.raises(RunFailed, match="workspace: ValueError: no"):
            report.build([finished_run], [], [])
    assert capsys.readouterr().out.startswith("report: http")


@needs_library
@pytest.mark.parametrize("group", ["2026-01-01-10-00-00-sweep", None])
def test_the_workspace_shows_the_runs_of_the_group_or_of_the_ids_by_variant(group):
    made = report.workspace(PLAN._replace(group=group), "me")
    spec = json.loads(made._to_model().spec.model_dump_json(by_alias=True, exclude_none=True))
    (runs,) = spec["section"]["runSets"]
    (found,) = runs["filters"]["filters"]
    expected = ("group", "=", group) if group else ("name", "IN", ["abcdefgh", "ijklmnop"])
    assert (found["key"]["name"], found["op"], found["value"]) == expected
    assert runs["grouping"] == [{"section": "config", "name": "attention.value.name"}]
    sections = spec["section"]["panelBankConfig"]["sections"]
    assert [(one["name"], len(one["panels"])) for one in sections] == [("One", 5), ("Two", 2)]


@needs_library
def test_variants_of_one_name_are_groups_of_their_own_each_in_its_color(finished_run, monkeypatch):
    colors = {finished_run.path: "#0072b2"}
    other = replace(finished_run, path=finished_run.path / "other")
    attention = finished_run.config.attention.model_copy(update={"heads": 4})
    vars(other)["config"] = finished_run.config.model_copy(update={"attention": attention})
    plan = plan_of([finished_run, other], [], [], colors)
    assert plan.grouping == ("attention.name", "attention.heads")
    assert plan_of([finished_run], [], [], colors).grouping == ("attention.name",)
    assert plan.painted[0][1:] == (("multihead", "2"), "#0072b2")
    with wandb_server(monkeypatch) as server:
        report.build([finished_run, other], [], [], colors=colors)
    for view in server.views:
        sent = json.dumps(view)
        assert "#0072b2" in sent and plan.painted[0].run_id in sent and "attention.value.heads" in sent


@needs_library
def test_the_panels_of_the_report_lie_beside_and_below_each_other():
    made = report.report(PLAN, "me")
    places = [one.layout for one in made.blocks[3].panels]
    for n, one in enumerate(places):
        for other in places[:n]:
            beside = one.x >= other.x + other.w or other.x >= one.x + one.w
            assert beside or one.y >= other.y + other.h or other.y >= one.y + one.h
    assert {one.x for one in places} == {0, 8, 16}
    assert HOSTILE in made.blocks[1].items
