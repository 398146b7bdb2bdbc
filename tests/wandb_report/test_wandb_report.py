"""A workspace and a report in W&B: said offline, built against a stand-in for W&B's server."""

import importlib.util
import json
import re
import shlex
import shutil

import pytest
from commands import attncompare
from wandb_server import log_in, wandb_server

from attncompare.compare.groups import compare_groups
from attncompare.record import Run
from attncompare.wandb_logging.report_plan import Panel, Plan, Section, plan_of

needs_library = pytest.mark.skipif(
    importlib.util.find_spec("wandb_workspaces") is None, reason="the extra attncompare[wandb] is not installed"
)
HOSTILE = 'it\'s <b>"better"</b> or 1=1'


@pytest.fixture
def no_login(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("WANDB_API_KEY", "WANDB_BASE_URL", "NETRC"):
        monkeypatch.delenv(name, raising=False)


def plan(**facts):
    kinds = {"line": ("val/loss",), "bar": ("test/loss",), "scatter": ("cost/parameters", "test/loss")}
    panels = [
        Panel(kind, f"a {kind}", keys) for kind, keys in {**kinds, "media": ("report",), "table": ("heads",)}.items()
    ]
    sections = (Section("One", "translation", tuple(panels)), Section("Two", "comparison", tuple(panels[3:])))
    known = {"name": "it", "project": "p", "entity": None, "group": "g", "run_ids": ("abcdefgh", "ijklmnop")}
    return Plan(
        **{**known, "sentences": (HOSTILE,), "sections": sections, "commands": ("attncompare compare x",), **facts}
    )


def test_offline_it_says_what_it_would_create(cli, finished_run):
    code, out, err = cli("wandb-report", finished_run.path, "--offline")
    assert (code, err) == (0, "") and out.startswith("wandb-report --offline creates nothing. It would be:\n")
    for line in (
        "project: <your account>/attncompare",
        f"runs: {finished_run.summary['wandb']['id']}, grouped by config attention.name",
        "  section: Translation: on test (job type translation)",
        "    scatter: test BLEU against parameters (test/bleu against cost/parameters)",
        "    media: attention maps: cross (maps/cross/probe0)",
        "    table: verdicts (verdicts)",
        f"    attncompare compare {finished_run.path}",
    ):
        assert line in out.splitlines()


def test_its_commands_can_be_pasted(cli, finished_run, tmp_path):
    folder = shutil.copytree(finished_run.path, tmp_path / "my runs" / "it's")
    _, out, _ = cli("wandb-report", folder, "--offline")
    commands = [shlex.split(line) for line in out.splitlines() if line.startswith("    attncompare ")]
    assert commands == [["attncompare", what, str(folder)] for what in ("compare", "reproduce")]


def test_its_help_says_what_happens_without_an_account(tmp_path):
    done = attncompare("wandb-report", "--help", cwd=tmp_path)
    said = "Without a login or a network nothing is created: the plan of both is printed, and the exit code is 0."
    assert done.returncode == 0 and said in " ".join(done.stdout.split())


def test_everything_it_shows_is_there(cli, finished_run):
    from commands import inspect

    records = inspect(finished_run)
    known = {key for row in records["history"] for key in row["item"]}
    known |= {key for part in records["summary"] for key in part["update"]}
    known = {re.sub(r"\._type$", "", key) for key in known}
    _, out, _ = cli("wandb-report", finished_run.path, "--offline")
    sections = out.partition("section: The comparison")[0]
    keys = {key for line in re.findall(r"\(([^()]*)\)$", sections, re.M) for key in line.split(" against ")}
    keys = {key for key in keys if not key.startswith("job type")}
    assert len(keys) > 12 and keys <= known


def test_a_group_that_could_be_more_than_a_name_is_not_asked_for(finished_run):
    def planned(**facts):
        run = Run(finished_run.path, {**finished_run.summary, **facts})
        return plan_of(compare_groups([run]), [])

    assert planned(group="2026-01-01-sweep").group == "2026-01-01-sweep"
    hostile = planned(group=HOSTILE, wandb={"id": HOSTILE, "missing": None})
    assert hostile.group is None and hostile.run_ids == (finished_run.config.hash()[:16],)


def test_without_a_login_it_says_how_to_log_in_and_what_it_would_create(finished_run, tmp_path):
    done = attncompare("wandb-report", finished_run.path, cwd=tmp_path)
    assert done.returncode == 0
    assert done.stdout.startswith(
        "wandb-report: no W&B login found; run `wandb login` (or set WANDB_API_KEY), or read here"
    )
    assert "section: Translation: on test" in done.stdout


def test_an_unfinished_run_is_refused(cli, finished_run, tmp_path):
    folder = shutil.copytree(finished_run.path, tmp_path / "run")
    summary = json.loads((folder / "summary.json").read_text())
    (folder / "manifest.json").unlink()
    (folder / "summary.json").write_text(json.dumps({**summary, "state": "failed"}))
    assert Run.open(folder).state == "failed"
    assert cli("wandb-report", folder, "--offline")[0] == 2


@pytest.mark.skipif(needs_library.args[0] is False, reason="the extra attncompare[wandb] is installed")
def test_without_the_extra_it_says_how_to_install_it(cli, finished_run, monkeypatch):
    log_in(monkeypatch, "http://127.0.0.1:9")
    code, _, err = cli("wandb-report", finished_run.path)
    assert code == 2
    assert "wandb-report needs the library wandb-workspaces: pip install 'attncompare[wandb]'\n" in err


@needs_library
def test_both_are_created_and_their_addresses_printed(cli, finished_run, monkeypatch):
    with wandb_server(monkeypatch) as server:
        code, out, _ = cli("wandb-report", finished_run.path)
    assert code == 0
    assert re.search(r"^workspace: http://127\.0\.0\.1:\d+/me/attncompare\?nw=\w+$", out, re.M)
    assert re.search(r"^report: http://127\.0\.0\.1:\d+/me/attncompare/reports/\S+$", out, re.M)
    assert f"send them with: attncompare upload {finished_run.path}" in out
    assert [view["type"] for view in server.views] == ["runs", "project-view"]
    assert {view["entityName"] for view in server.views} == {"me"}


@needs_library
def test_without_a_network_nothing_is_created(cli, finished_run, monkeypatch):
    log_in(monkeypatch, "http://127.0.0.1:9")  # a port where nothing listens
    code, out, _ = cli("wandb-report", finished_run.path)
    assert code == 0 and out.startswith("wandb-report: W&B gives no account: ")
    assert "127.0.0.1:9" in out.splitlines()[0] and "workspace: " in out


@needs_library
def test_where_the_server_takes_only_one_it_says_so(monkeypatch):
    from attncompare.errors import RunFailed
    from attncompare.wandb_logging import report_build as build

    def refuse(self):
        raise ValueError("no")

    with wandb_server(monkeypatch):
        monkeypatch.setattr(type(build.workspace(plan(), "me")), "save", refuse)
        with pytest.raises(RunFailed, match="did not take the workspace: ValueError: no; the report is there: http"):
            build.create(plan(), "me")


@needs_library
@pytest.mark.parametrize("group", ["2026-01-01-10-00-00-sweep", None])
def test_which_runs_are_shown(group):
    from attncompare.wandb_logging.report_build import workspace

    spec = json.loads(
        workspace(plan(group=group), "me")._to_model().spec.model_dump_json(by_alias=True, exclude_none=True)
    )
    (runs,) = spec["section"]["runSets"]
    (found,) = runs["filters"]["filters"]
    if group:
        assert (found["key"]["name"], found["op"], found["value"]) == ("group", "=", group)
    else:
        assert (found["key"]["name"], found["op"], found["value"]) == ("name", "IN", ["abcdefgh", "ijklmnop"])
    assert runs["grouping"] == [{"section": "config", "name": "attention.value.name"}]
    sections = spec["section"]["panelBankConfig"]["sections"]
    assert [(one["name"], len(one["panels"])) for one in sections] == [("One", 5), ("Two", 2)]


@needs_library
def test_the_panels_of_the_report_lie_beside_and_below_each_other():
    from attncompare.wandb_logging.report_build import report

    made = report(plan(), "me")
    grid = made.blocks[3]
    places = [(panel.layout.x, panel.layout.y, panel.layout.w, panel.layout.h) for panel in grid.panels]
    assert places == [(0, 0, 8, 8), (8, 0, 8, 6), (16, 0, 8, 8), (0, 8, 24, 14), (0, 22, 24, 12)]
    assert HOSTILE in made.blocks[1].items
