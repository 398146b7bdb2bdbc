"""A plan as objects of the library ``wandb-workspaces``, and their creation on W&B's server."""

import contextlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import wandb

from attncompare.errors import Refused, RunFailed
from attncompare.wandb_logging.wandb_calls import one_line
from attncompare.wandb_logging.report_plan import STEP, VARIANT, Panel, Plan, Section

_REACH_SECONDS = 10
_COLUMNS = 24  # of W&B's grid
# Width and height of each kind of panel in it.
_SIZES = {"line": (8, 8), "bar": (8, 6), "scatter": (8, 8), "media": (24, 14), "table": (24, 12)}


@dataclass(frozen=True)
class Created:
    """Where W&B shows what was built."""

    workspace: str
    report: str


def require_library() -> None:
    """Refuse where the library is not installed.

    Raises:
        Refused: says how to install it.
    """
    try:
        import wandb_workspaces  # noqa: F401
    except ImportError:
        raise Refused("wandb-report needs the library wandb-workspaces: pip install 'attncompare[wandb]'") from None


def account() -> str:
    """Return the account that W&B's server knows the login as.

    Raises:
        RunFailed: if it cannot be reached, or does not take the login: W&B tells the two apart in words alone.
    """
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            entity = wandb.Api(timeout=_REACH_SECONDS).default_entity
    except Exception as error:  # whatever the network does
        raise RunFailed(f"W&B gives no account: {one_line(error)}") from None
    if not entity:
        raise RunFailed("W&B gives no account: the login has none; set tracking.entity")
    return entity


def create(plan: Plan, entity: str) -> Created:
    """Create the workspace and the report.

    Args:
        plan: what they show.
        entity: the account that they belong to.

    Raises:
        RunFailed: if W&B does not take one of them; says what was created before.
    """
    written = report(plan, entity)  # first, as it makes the project where there is none
    _save("report", written.save)
    made = workspace(plan, entity)
    try:
        _save("workspace", made.save)
    except RunFailed as error:
        raise RunFailed(f"{error}; the report is there: {written.url}") from None
    return Created(made.url, written.url)


def workspace(plan: Plan, entity: str) -> Any:
    """Return the workspace, which the server does not know yet."""
    import wandb_workspaces.workspaces as ws
    from wandb_workspaces import expr

    return ws.Workspace(
        entity=entity,
        project=plan.project,
        name=plan.name,
        sections=[
            ws.Section(name=section.name, panels=_panels(section), is_open=not number)
            for number, section in enumerate(plan.sections)
        ],
        settings=ws.WorkspaceSettings(x_axis=STEP, max_runs=100),
        runset_settings=ws.RunsetSettings(filters=[_which(plan)], groupby=[expr.Config(VARIANT)]),
    )


def report(plan: Plan, entity: str) -> Any:
    """Return the report, which the server does not know yet."""
    import wandb_workspaces.reports.v2 as wr

    blocks: list[Any] = (
        [wr.H2("What was found"), wr.UnorderedList(items=list(plan.sentences))] if plan.sentences else []
    )
    for section in plan.sections:
        grid = wr.PanelGrid(runsets=[_runset(plan, entity, section)], panels=_panels(section))
        blocks += [wr.H2(section.name), grid]
    blocks += [wr.H2("How to repeat it"), wr.CodeBlock(code="\n".join(plan.commands), language="markdown")]
    found = f"{len(plan.run_ids)} runs, compared by attncompare"
    title = plan.name[:128]
    return wr.Report(project=plan.project, entity=entity, title=title, description=found, blocks=blocks, width="fluid")


def _runset(plan: Plan, entity: str, section: Section) -> Any:
    import wandb_workspaces.reports.v2 as wr
    from wandb_workspaces import expr

    kind = expr.Metric("JobType") == section.job_type
    # The run of the comparison has the sweep's group, and no variant.
    filters = [_which(plan), kind] if section.job_type != "comparison" or plan.group else [kind]
    groups = [f"config.{VARIANT}"] if section.job_type != "comparison" else []
    return wr.Runset(entity=entity, project=plan.project, name=section.name, filters=filters, groupby=groups)


def _which(plan: Plan) -> Any:
    from wandb_workspaces import expr

    if plan.group:
        return expr.Metric("Group") == plan.group
    return expr.Metric("ID").isin(list(plan.run_ids))


def _panels(section: Section) -> list[Any]:
    """Return the panels of a section, placed from left to right and from top to bottom."""
    placed, x, y, row = [], 0, 0, 0
    for panel in section.panels:
        width, height = _SIZES[panel.kind]
        if x + width > _COLUMNS:
            x, y, row = 0, y + row, 0
        placed.append(_panel(panel, x, y))
        x, row = x + width, max(row, height)
    return placed


def _panel(panel: Panel, x: int, y: int) -> Any:
    import wandb_workspaces.reports.v2 as wr

    width, height = _SIZES[panel.kind]
    place = {"title": panel.title, "layout": wr.Layout(x=x, y=y, w=width, h=height)}
    match panel.kind:
        case "line":
            return wr.LinePlot(x=STEP, y=list(panel.keys), groupby_rangefunc="stddev", **place)
        case "bar":
            return wr.BarPlot(metrics=list(panel.keys), **place)
        case "scatter":
            cost, quality = (wr.SummaryMetric(key) for key in panel.keys)
            return wr.ScatterPlot(x=cost, y=quality, **place)
        case "media":
            return wr.MediaBrowser(media_keys=list(panel.keys), **place)
        case "table":
            return wr.WeavePanelSummaryTable(table_name=panel.keys[0], layout=place["layout"])


def _save(what: str, save: Callable[[], Any]) -> None:
    try:
        with contextlib.redirect_stderr(io.StringIO()):  # W&B says where it is, and so do we
            save()
    except Exception as error:
        raise RunFailed(f"W&B did not take the {what}: {one_line(error)}") from None
