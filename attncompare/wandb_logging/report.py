"""``attncompare wandb-report``: a workspace and a report in W&B for the runs of a sweep, by the library wandb-workspaces.

What both show is a :class:`Plan` first: printed where there is no login or no network, built on W&B's server otherwise.
"""

import contextlib
import io
import re
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

from attncompare.errors import Refused, RunFailed
from attncompare.maps.maps import maps_from
from attncompare.record import Run
from attncompare.tasks.metrics import metrics_of
from attncompare.text import COSTS, TABLE_COSTS, printable
from attncompare.wandb_logging.comparison import JOB_TYPE
from attncompare.wandb_logging.logger import STEP, one_line, require_login

VARIANT = "attention.name"
_PLAIN = re.compile(r"[\w.-]+")  # the library writes a group into an expression without quoting it
_REACH_SECONDS, _SENTENCES, _COLUMNS = 10, 30, 24  # to W&B's server; of a report; of W&B's grid
# Width and height of each kind of panel in the grid.
_SIZES = {"line": (8, 8), "bar": (8, 6), "scatter": (8, 8), "media": (24, 14), "table": (24, 12)}


class Panel(NamedTuple):
    """A picture or table of the values that W&B has under ``keys``; those of a scatter plot are the cost and the quality."""

    kind: Literal["line", "bar", "scatter", "media", "table"]
    title: str
    keys: tuple[str, ...]


class Section(NamedTuple):
    """Panels under one heading; ``job_type`` says which runs they show."""

    name: str
    job_type: str
    panels: tuple[Panel, ...]


class Plan(NamedTuple):
    """A workspace and a report of one name; the runs are those of ``group``, or where it is None those of ``run_ids``."""

    name: str
    project: str
    entity: str | None
    group: str | None
    run_ids: tuple[str, ...]
    sentences: tuple[str, ...]
    sections: tuple[Section, ...]
    commands: tuple[str, ...]

    def lines(self) -> list[str]:
        """Return the plan for a terminal."""
        runs = f"group {self.group}" if self.group else ", ".join(self.run_ids)
        lines = [
            f"project: {self.entity or '<your account>'}/{self.project}",
            f"runs: {runs}, grouped by config {VARIANT}",
        ]
        lines.append(f"workspace: {self.name}")
        for section in self.sections:
            lines.append(f"  section: {section.name} (job type {section.job_type})")
            lines += [f"    {one.kind}: {one.title} ({' against '.join(one.keys[::-1])})" for one in section.panels]
        lines += [f"report: {self.name}", "  the verdicts:", *(f"    {sentence}" for sentence in self.sentences)]
        return [
            *lines,
            "  the sections of the workspace",
            "  how to repeat it:",
            *(f"    {one}" for one in self.commands),
        ]


def build(runs: Sequence[Run], sentences: Sequence[str], commands: Sequence[str], *, offline: bool = False) -> None:
    """Create a workspace and a report in W&B for ``runs``, and print where they are.

    Without a login or a network, or if ``offline`` says so, nothing is created and the plan is printed.

    Args:
        runs: what was compared.
        sentences: the verdicts.
        commands: how to get the same comparison again.
        offline: create nothing.

    Raises:
        Refused: if the library wandb-workspaces is missing where it is needed.
        RunFailed: if W&B's server is there and does not take them.
    """
    plan = plan_of(runs, sentences, commands)
    try:
        if offline:
            raise Refused("wandb-report --offline creates nothing")
        require_login("wandb-report", "read here what it would create")
        entity = plan.entity or _account()
    except (Refused, RunFailed) as error:
        print("\n".join(printable(line) for line in (f"{error}. It would be:", *plan.lines())))
        return
    try:
        import wandb_workspaces  # noqa: F401
    except ImportError:
        raise Refused("wandb-report needs the library wandb-workspaces: pip install 'attncompare[wandb]'") from None
    made, written = workspace(plan, entity), report(plan, entity)
    _save("report", written.save)  # first, as it makes the project where there is none
    print(f"report: {written.url}")
    _save("workspace", made.save)
    print(f"workspace: {made.url}")
    if not any(run.config.tracking.wandb == "online" for run in runs):
        print("These runs are not in W&B yet; send them with: wandb sync RUN/wandb/offline-run-*")


def plan_of(runs: Sequence[Run], sentences: Sequence[str], commands: Sequence[str]) -> Plan:
    """Return what W&B is to show of ``runs``; the arguments are those of :func:`build`."""
    groups = {run.summary.get("group") for run in runs}
    group = groups.pop() if len(groups) == 1 else None
    if not (isinstance(group, str) and _PLAIN.fullmatch(group)):
        group = None
    comparison = (
        Panel("media", "the report page", ("report",)),
        Panel("table", "figures", ("results",)),
        Panel("table", "verdicts", ("verdicts",)),
    )
    first_of_each_task = {run.config.task.name: run for run in reversed(runs)}
    return Plan(
        name=f"attncompare {group}" if group else f"attncompare, {len(runs)} runs",
        project=runs[0].config.tracking.project,
        entity=runs[0].config.tracking.entity,
        group=group,
        run_ids=tuple(run.summary["wandb"]["id"] for run in runs),
        sentences=tuple(sentences[:_SENTENCES]),
        sections=(
            *(section for run in reversed(first_of_each_task.values()) for section in _sections(run)),
            Section("The comparison", JOB_TYPE, comparison),
        ),
        commands=tuple(commands),
    )


def _sections(run: Run) -> list[Section]:
    """Return the sections of a task, of which ``run`` is one."""
    task, metrics = run.config.task.name, list(metrics_of(run.config).values())
    leading, shown = metrics[0], [metric for metric in metrics if metric.in_table]
    files = run.map_files()
    sites = maps_from(run.read(f"maps/{files[-1].name}"), files[-1])[1][0].sites if files else ()
    panels = {
        "on test": [Panel("bar", f"test {metric.title}", (f"test/{metric.name}",)) for metric in shown],
        "against cost": [
            Panel(
                "scatter", f"test {leading.title} against {COSTS[cost].title}", (f"cost/{cost}", f"test/{leading.name}")
            )
            for cost in TABLE_COSTS
        ],
        "over training": [
            Panel("line", "training loss", ("train/loss",)),
            *(Panel("line", f"validation {metric.title}", (f"val/{metric.name}",)) for metric in metrics),
        ],
        "attention": [
            *(Panel("media", f"attention maps: {site.title}", (f"maps/{site.site}/probe0",)) for site in sites),
            Panel("media", "all maps, to choose from", ("attention",)),
        ],
        "outputs": [
            Panel("table", "predictions", ("predictions",)),
            Panel("table", "numbers of each head", ("heads",)),
        ],
    }
    title = task.replace("_", " ").capitalize()
    return [Section(f"{title}: {name}", task, tuple(shown)) for name, shown in panels.items()]


def workspace(plan: Plan, entity: str) -> Any:
    """Return the workspace, which the server does not know yet."""
    import wandb_workspaces.workspaces as ws
    from wandb_workspaces import expr

    sections = [
        ws.Section(name=section.name, panels=_panels(section), is_open=place == 0)
        for place, section in enumerate(plan.sections)
    ]
    return ws.Workspace(
        entity=entity,
        project=plan.project,
        name=plan.name,
        sections=sections,
        settings=ws.WorkspaceSettings(x_axis=STEP, max_runs=100),
        runset_settings=ws.RunsetSettings(filters=[_which(plan)], groupby=[expr.Config(VARIANT)]),
    )


def report(plan: Plan, entity: str) -> Any:
    """Return the report, which the server does not know yet."""
    import wandb_workspaces.reports.v2 as wr
    from wandb_workspaces import expr

    blocks: list[Any] = []
    if plan.sentences:
        blocks = [wr.H2("What was found"), wr.UnorderedList(items=list(plan.sentences))]
    for section in plan.sections:
        of_runs = section.job_type != JOB_TYPE
        filters = [expr.Metric("JobType") == section.job_type]
        if of_runs or plan.group:  # the run of the comparison has the sweep's group, and no variant
            filters.insert(0, _which(plan))
        groups = [f"config.{VARIANT}"] if of_runs else []
        runset = wr.Runset(entity=entity, project=plan.project, name=section.name, filters=filters, groupby=groups)
        blocks += [wr.H2(section.name), wr.PanelGrid(runsets=[runset], panels=_panels(section))]
    blocks += [wr.H2("How to repeat it"), wr.CodeBlock(code="\n".join(plan.commands), language="markdown")]
    return wr.Report(
        project=plan.project,
        entity=entity,
        title=plan.name[:128],
        description=f"{len(plan.run_ids)} runs, compared by attncompare",
        blocks=blocks,
        width="fluid",
    )


def _which(plan: Plan) -> Any:
    from wandb_workspaces import expr

    return expr.Metric("Group") == plan.group if plan.group else expr.Metric("ID").isin(list(plan.run_ids))


def _panels(section: Section) -> list[Any]:
    """Return the panels of a section, placed from left to right and from top to bottom."""
    import wandb_workspaces.reports.v2 as wr

    placed: list[Any] = []
    x = y = row = 0
    for panel in section.panels:
        width, height = _SIZES[panel.kind]
        if x + width > _COLUMNS:
            x, y, row = 0, y + row, 0
        layout = wr.Layout(x=x, y=y, w=width, h=height)
        place = {"title": panel.title, "layout": layout}
        match panel.kind:
            case "line":
                placed.append(wr.LinePlot(x=STEP, y=list(panel.keys), groupby_rangefunc="stddev", **place))
            case "bar":
                placed.append(wr.BarPlot(metrics=list(panel.keys), **place))
            case "scatter":
                cost, quality = (wr.SummaryMetric(key) for key in panel.keys)
                placed.append(wr.ScatterPlot(x=cost, y=quality, **place))
            case "media":
                placed.append(wr.MediaBrowser(media_keys=list(panel.keys), **place))
            case "table":
                placed.append(wr.WeavePanelSummaryTable(table_name=panel.keys[0], layout=layout))
        x, row = x + width, max(row, height)
    return placed


def _account() -> str:
    """Return the account that W&B's server knows the login as.

    Raises:
        RunFailed: if the server cannot be reached or does not take the login: W&B tells the two apart in words alone.
    """
    import wandb

    try:
        with contextlib.redirect_stderr(io.StringIO()):
            entity = wandb.Api(timeout=_REACH_SECONDS).default_entity
    except Exception as error:  # whatever the network does
        raise RunFailed(f"W&B gives no account: {one_line(error)}") from None
    if not entity:
        raise RunFailed("W&B gives no account: the login has none; set tracking.entity")
    return entity


def _save(what: str, save: Callable[[], Any]) -> None:
    try:
        with contextlib.redirect_stderr(io.StringIO()):  # W&B says where it is, and so do we
            save()
    except Exception as error:
        raise RunFailed(f"W&B did not take the {what}: {one_line(error)}") from None
