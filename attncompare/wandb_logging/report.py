"""``attncompare wandb-report``: a workspace and a report in W&B for the runs of a sweep, by the library wandb-workspaces.

What both show is a :class:`Plan` first: printed where there is no login or no network, built on W&B's server otherwise.
"""

import contextlib
import io
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from attncompare.config.plain_values import flatten
from attncompare.config.schema import CHOSEN
from attncompare.errors import Refused, RunFailed
from attncompare.maps.maps import maps_from
from attncompare.record import Run
from attncompare.tasks.metrics import metrics_of
from attncompare.text import COSTS, TABLE_COSTS, printable
from attncompare.wandb_logging.comparison import JOB_TYPE
from attncompare.wandb_logging.destination import Destination
from attncompare.wandb_logging.logger import STEP, one_line, require_login

VARIANT = "attention.name"
_PLAIN = re.compile(r"[\w.-]+")  # the library writes a group into an expression without quoting it
_REACH_SECONDS, _SENTENCES = 10, 30  # to W&B's server; of a report
# Width and height of each kind of panel in W&B's grid of 24 columns.
_SIZES = {"line": (8, 8), "bar": (8, 6), "scatter": (8, 8), "media": (24, 14), "table": (24, 12)}


class Panel(NamedTuple):
    """A picture or table of what W&B has under ``key``; a scatter plot sets it against ``cost``."""

    kind: str
    title: str
    key: str
    cost: str = ""


class Section(NamedTuple):
    """Panels under one heading; ``job_type`` says which runs they show."""

    name: str
    job_type: str
    panels: tuple[Panel, ...]


class Painted(NamedTuple):
    """The color of a run (``#rrggbb``), that of its variant, and the values by which W&B groups it."""

    run_id: str
    values: tuple[str, ...]
    color: str


class Plan(NamedTuple):
    """A workspace and a report of one name; the runs are those of ``group``, or where it is None those of ``run_ids``.

    They are grouped by the keys ``grouping`` of their configs.
    """

    name: str
    project: str
    entity: str | None
    group: str | None
    run_ids: tuple[str, ...]
    sentences: tuple[str, ...]
    sections: tuple[Section, ...]
    commands: tuple[str, ...]
    grouping: tuple[str, ...] = (VARIANT,)
    painted: tuple[Painted, ...] = ()


def build(
    runs: Sequence[Run],
    sentences: Sequence[str],
    commands: Sequence[str],
    *,
    colors: Mapping[Path, str] | None = None,
    offline: bool = False,
) -> None:
    """Create a workspace and a report in W&B for ``runs``, and print where they are.

    Both show the verdicts (``sentences``) and the ``commands`` that give the same comparison again, and each run in its
    color of ``colors``, which has some of them by the run's path. Without a login or a
    network, or if ``offline`` says so, nothing is created and what would be is printed.
    Raises Refused if the library wandb-workspaces is missing where it is needed; RunFailed if W&B's server is there
    and does not take them.
    """
    import wandb

    plan = plan_of(runs, sentences, commands, colors or {})
    try:
        if offline:
            raise Refused("wandb-report --offline creates nothing")
        require_login("wandb-report", "read here what it would create")
        entity = plan.entity or _asked("gives no account", lambda: wandb.Api(timeout=_REACH_SECONDS).default_entity)
        if not entity:
            raise RunFailed("W&B gives no account: the login has none; set tracking.entity")
    except (Refused, RunFailed) as error:
        of = f"of {plan.group or ', '.join(plan.run_ids)} in {plan.entity or '<your account>'}/{plan.project}"
        lines = [
            f"{error}. It would be a workspace and a report, {plan.name}, {of}, grouped by {', '.join(plan.grouping)}:"
        ]
        lines += [f"  {one.name}: {', '.join(panel.title for panel in one.panels)}" for one in plan.sections]
        lines += ["with the verdicts:", *plan.sentences, "and how to repeat it:", *plan.commands]
        print("\n".join(map(printable, lines)))
        return
    try:
        made, written = workspace(plan, entity), report(plan, entity)
    except ImportError:
        raise Refused("wandb-report needs the library wandb-workspaces: pip install 'attncompare[wandb]'") from None
    _asked("did not take the report", written.save)  # first, as it makes the project where there is none
    print(f"report: {written.url}")
    _asked("did not take the workspace", made.save)
    print(f"workspace: {made.url}")
    if not any(Destination.recorded(run.config, run.summary).mode == "online" for run in runs):
        print("These runs are not in W&B yet; send them with: wandb sync RUN/wandb/offline-run-*")


def plan_of(
    runs: Sequence[Run], sentences: Sequence[str], commands: Sequence[str], colors: Mapping[Path, str] | None = None
) -> Plan:
    """Return what W&B is to show of ``runs``; the arguments are those of :func:`build`."""
    groups = {Destination.recorded(run.config, run.summary).group for run in runs}
    group = groups.pop() if len(groups) == 1 else None
    if not (isinstance(group, str) and _PLAIN.fullmatch(group)):
        group = None
    comparison = Section("The comparison", JOB_TYPE, (Panel("media", "the report page", "report"),))
    flats = {run.path: flatten(run.config.to_dict()) for run in runs}
    # Runs of one name can be different variants.
    chosen = dict.fromkeys(key for flat in flats.values() for key in flat if key.startswith(CHOSEN))
    names = {flat[VARIANT] for flat in flats.values()}
    values = {key: {(flat[VARIANT], repr(flat.get(key))) for flat in flats.values()} for key in chosen}
    grouping = (VARIANT, *(key for key in chosen if len(values[key]) > len(names)))
    painted = [
        Painted(run.summary["wandb"]["id"], tuple(str(flats[run.path].get(key)) for key in grouping), colors[run.path])
        for run in runs
        if colors and run.path in colors
    ]
    first_of_each_task = {run.config.task.name: run for run in reversed(runs)}
    view = Destination.recorded(runs[0].config, runs[0].summary)
    return Plan(
        name=f"attncompare {group}" if group else f"attncompare, {len(runs)} runs",
        project=view.project,
        entity=view.entity,
        group=group,
        run_ids=tuple(run.summary["wandb"]["id"] for run in runs),
        sentences=tuple(sentences[:_SENTENCES]),
        sections=(*(one for run in reversed(first_of_each_task.values()) for one in _sections(run)), comparison),
        commands=tuple(commands),
        grouping=grouping,
        painted=tuple(painted),
    )


def _sections(run: Run) -> list[Section]:
    task, metrics = run.config.task.name, list(metrics_of(run.config).values())
    best, files = metrics[0], run.map_files()
    sites = maps_from(run.read(f"maps/{files[-1].name}"), files[-1])[1][0].sites if files else ()
    test = f"test/{best.name}"
    panels = {
        "on test": [Panel("bar", f"test {one.title}", f"test/{one.name}") for one in metrics if one.in_table],
        "against cost": [
            Panel("scatter", f"test {best.title} against {COSTS[cost].title}", test, f"cost/{cost}")
            for cost in TABLE_COSTS
        ],
        "over training": [
            Panel("line", "training loss", "train/loss"),
            *(Panel("line", f"validation {one.title}", f"val/{one.name}") for one in metrics),
        ],
        "attention": [
            *(Panel("media", f"attention maps: {site.title}", f"maps/{site.site}/probe0") for site in sites),
            Panel("media", "all maps, to choose from", "attention"),
        ],
        "outputs": [Panel("table", "predictions", "predictions"), Panel("table", "numbers of each head", "heads")],
    }
    title = task.replace("_", " ").capitalize()
    return [Section(f"{title}: {name}", task, tuple(shown)) for name, shown in panels.items()]


def workspace(plan: Plan, entity: str) -> Any:
    """Return the workspace, which the server does not know yet."""
    import wandb_workspaces.workspaces as ws
    from wandb_workspaces import expr

    return ws.Workspace(
        entity=entity,
        project=plan.project,
        name=plan.name,
        sections=[
            ws.Section(name=one.name, panels=_panels(one), is_open=one is plan.sections[0]) for one in plan.sections
        ],
        settings=ws.WorkspaceSettings(x_axis=STEP, max_runs=100),
        runset_settings=ws.RunsetSettings(
            filters=[_which(plan)],
            groupby=[expr.Config(key) for key in plan.grouping],
            run_settings={one.run_id: ws.RunSettings(color=one.color) for one in plan.painted},
        ),
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
        groups = [f"config.{key}" for key in plan.grouping] if of_runs else []
        colors: dict[Any, str] = {one.run_id: one.color for one in plan.painted if of_runs}
        for one in plan.painted if of_runs else ():
            keys = [
                wr.RunsetGroupKey(wr.Config(key), value) for key, value in zip(plan.grouping, one.values, strict=True)
            ]
            colors[wr.RunsetGroup(section.name, tuple(keys))] = one.color
        runset = wr.Runset(entity=entity, project=plan.project, name=section.name, filters=filters, groupby=groups)
        blocks += [
            wr.H2(section.name),
            wr.PanelGrid(runsets=[runset], panels=_panels(section), custom_run_colors=colors),
        ]
    blocks += [wr.H2("How to repeat it"), wr.CodeBlock(code="\n".join(plan.commands), language="markdown")]
    what = f"{len(plan.run_ids)} runs, compared by attncompare"
    place = {"project": plan.project, "entity": entity}
    return wr.Report(**place, title=plan.name[:128], description=what, blocks=blocks, width="fluid")


def _which(plan: Plan) -> Any:
    from wandb_workspaces import expr

    return expr.Metric("Group") == plan.group if plan.group else expr.Metric("ID").isin(list(plan.run_ids))


def _panels(section: Section) -> list[Any]:
    """Return the panels of a section with their sizes; the library places them."""
    import wandb_workspaces.reports.v2 as wr

    makers: dict[str, Callable[[Panel, Any], Any]] = {
        "line": lambda one, place: wr.LinePlot(
            title=one.title, x=STEP, y=[one.key], groupby_rangefunc="stddev", **place
        ),
        "bar": lambda one, place: wr.BarPlot(title=one.title, metrics=[one.key], **place),
        "scatter": lambda one, place: wr.ScatterPlot(
            title=one.title, x=wr.SummaryMetric(one.cost), y=wr.SummaryMetric(one.key), **place
        ),
        "media": lambda one, place: wr.MediaBrowser(title=one.title, media_keys=[one.key], **place),
        "table": lambda one, place: wr.WeavePanelSummaryTable(table_name=one.key, **place),
    }
    sizes = [_SIZES[one.kind] for one in section.panels]
    places = [{"layout": wr.Layout(w=width, h=height)} for width, height in sizes]
    return [makers[one.kind](one, place) for one, place in zip(section.panels, places, strict=True)]


def _asked(failure: str, ask: Callable[[], Any]) -> Any:
    """Return what W&B's server answers; whatever goes wrong, W&B tells its reasons apart in words alone."""
    try:
        with contextlib.redirect_stderr(io.StringIO()):  # W&B says where it is, and so do we
            return ask()
    except Exception as error:
        raise RunFailed(f"W&B {failure}: {one_line(error)}") from None
