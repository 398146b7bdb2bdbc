"""What a workspace and a report in W&B show of a comparison, in plain words: printed offline, built online."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from attncompare.compare.groups import Comparison
from attncompare.compare.in_wandb import common_group, wandb_id
from attncompare.compare.verdicts import verdicts
from attncompare.text import COSTS, METRICS, TABLE_COSTS, TABLE_METRICS, TASK_TITLES
from attncompare.maps.maps import SITES
from attncompare.record import Run

STEP = "step"
VARIANT = "attention.name"
_SITES = {"translation": SITES, "language_model": ("decoder_self",)}
_PLAIN = re.compile(r"[\w.-]+")  # the library writes a group into an expression without quoting it
_MOST_SENTENCES = 30  # of a report; the table in W&B has all


@dataclass(frozen=True)
class Panel:
    """One picture or table.

    Attributes:
        kind: ``line`` shows metrics over training, ``bar`` and ``scatter`` final figures, ``media`` pictures and pages.
        title: its heading.
        keys: W&B's names of what it shows; of a scatter plot the cost and the quality.
    """

    kind: Literal["line", "bar", "scatter", "media", "table"]
    title: str
    keys: tuple[str, ...]


@dataclass(frozen=True)
class Section:
    """Panels under one heading; ``job_type`` says which runs they show."""

    name: str
    job_type: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class Plan:
    """A workspace and a report.

    Attributes:
        name: of both.
        project: W&B's project.
        entity: W&B's account; None: the one that is logged in.
        group: the sweep; None: it is none, or not named as one, and ``run_ids`` are meant.
        run_ids: W&B's names of the runs.
        sentences: the verdicts.
        sections: what both show.
        commands: how to get the same here.
    """

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
        where = f"{self.entity or '<your account>'}/{self.project}"
        which = f"group {self.group}" if self.group else ", ".join(self.run_ids)
        found = [f"project: {where}", f"runs: {which}, grouped by config {VARIANT}", f"workspace: {self.name}"]
        found += [line for section in self.sections for line in _section_lines(section)]
        found += [f"report: {self.name}", "  the verdicts:", *(f"    {sentence}" for sentence in self.sentences)]
        return [
            *found,
            "  the sections of the workspace",
            "  how to repeat it:",
            *(f"    {one}" for one in self.commands),
        ]


def plan_of(comparisons: Sequence[Comparison], commands: Sequence[str]) -> Plan:
    """Return what W&B is to show of ``comparisons``.

    Args:
        comparisons: one for each task.
        commands: how to get the same here, for the report's end.
    """
    runs: list[Run] = [run for one in comparisons for variant in one.variants for run in variant.runs]
    group, tracking = common_group(runs), runs[0].config.tracking
    group = group if group and _PLAIN.fullmatch(group) else None
    sentences = [verdict.sentence for one in comparisons for verdict in verdicts(one)][:_MOST_SENTENCES]
    sections = [section for one in comparisons for section in _sections(one.task)]
    return Plan(
        name=f"attncompare {group}" if group else f"attncompare, {len(runs)} runs",
        project=tracking.project,
        entity=tracking.entity,
        group=group,
        run_ids=tuple(wandb_id(run) for run in runs),
        sentences=tuple(sentences),
        sections=(*sections, _comparison_section()),
        commands=tuple(commands),
    )


def _sections(task: str) -> list[Section]:
    title, keys = TASK_TITLES[task], ("loss", *(key for key in TABLE_METRICS[task] if key != "loss"))
    curves = [Panel("line", "training loss", ("train/loss",))]
    curves += [Panel("line", f"validation {METRICS[key].title}", (f"val/{key}",)) for key in keys]
    final = [Panel("bar", f"test {METRICS[key].title}", (f"test/{key}",)) for key in TABLE_METRICS[task]]
    first = TABLE_METRICS[task][0]
    costs = [
        Panel(
            "scatter",
            f"test {METRICS[first].title} against {COSTS[key].title}",
            (f"cost/{key}", f"test/{first}"),
        )
        for key in TABLE_COSTS
    ]
    maps = [Panel("media", f"attention maps: {site}", (f"maps/{site}/probe0",)) for site in _SITES[task]]
    maps.append(Panel("media", "all maps, to choose from", ("attention",)))
    tables = [Panel("table", "predictions", ("predictions",)), Panel("table", "numbers of each head", ("heads",))]
    named = (("on test", final), ("against cost", costs), ("over training", curves), ("attention", maps))
    return [Section(f"{title}: {name}", task, tuple(panels)) for name, panels in (*named, ("outputs", tables))]


def _comparison_section() -> Section:
    panels = (
        Panel("media", "the report page", ("report",)),
        Panel("table", "figures", ("results",)),
        Panel("table", "verdicts", ("verdicts",)),
    )
    return Section("The comparison", "comparison", panels)


def _section_lines(section: Section) -> list[str]:
    panels = [f"    {panel.kind}: {panel.title} ({' against '.join(reversed(panel.keys))})" for panel in section.panels]
    return [f"  section: {section.name} (job type {section.job_type})", *panels]
