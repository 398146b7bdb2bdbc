"""What :func:`attncompare.inference.ablate.ablate` found, for people: sentences, a table in the terminal, and a page."""

import math
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from attncompare.compare.page import page_css, page_js
from attncompare.compare.page.charts import padded, shown
from attncompare.compare.statistics.results import ALPHA
from attncompare.inference.ablate import Ablation, HeadLoss
from attncompare.maps.page import content_policy, environment, script_json, viewer_css
from attncompare.tasks.metrics import metric
from attncompare.text import counted, printable

_COLORS = {"greedy": "#0072b2", "gradient": "#d55e00"}
_TITLES = {"greedy": "greedy", "gradient": "by gradient"}
_WORTH, _OPEN = "#0072b2", "#8a939d"


def headline(found: Ablation) -> str:
    """Return in one sentence how many heads are worth something, and which is worth most."""
    measure, many = metric(found.metric), counted(len(found.heads), "head")
    worst = found.heads[0]
    most = f"{name_of(found, worst)} ({measure.format(worst.loss)} {measure.measure()})"
    if worst.p_holm is None:
        return f"Of {many}, most is lost without {most}; there are too few items to test it."
    decided = [one for one in found.heads if _decided(one) and one.loss > 0]
    if not decided:
        return f"Of {many}, none alone is worth anything beyond chance; most is lost without {most}."
    are = f"{len(decided)} {'is' if len(decided) == 1 else 'are'} worth something beyond chance"
    return f"Of {many}, {are}; most is lost without {most}."


def name_of(found: Ablation, one: HeadLoss) -> str:
    """Return what people call a head."""
    return f"{found.titles[one.site]}, layer {one.layer}, head {one.head}"


def ablation_table(found: Ablation) -> Table:
    """Return the heads, the one that is worth most first; bold are those that are decided."""
    measure = metric(found.metric)
    table = Table(box=None, header_style="bold", padding=(0, 1, 0, 0))
    table.add_column("site")
    for title in (
        "layer",
        "head",
        "loss",
        "95 %\ninterval",
        f"{measure.title}\nwithout",
        "p",
        "p,\nHolm",
        "impor-\ntance",
    ):
        table.add_column(title, justify="right")
    for one, row in zip(found.heads, _rows(found), strict=True):
        cells = (row[cell] for cell in ("loss", "interval", "without", "p", "p_holm", "importance"))
        place = printable(one.site), str(one.layer), str(one.head)
        table.add_row(*map(escape, (*place, *cells)), style="bold" if _decided(one) else "")
    return table


def ablation_page(found: Ablation, variant: str) -> str:
    """Return a whole HTML page that needs no network; ``variant`` is what the run's attention is called."""
    js, measure = page_js(), metric(found.metric)
    top = max((one.loss for one in found.heads), default=0.0)
    cells = {
        (one.site, one.layer, one.head): {
            "loss": _signed(found, one.loss),
            "share": round(70 * max(0.0, one.loss) / top) if top > 0 else 0,
        }
        for one in found.heads
    }
    sizes = {
        site: tuple(max(place[axis] for place in cells if place[0] == site) for axis in (1, 2)) for site in found.titles
    }
    curves = _curves(found)
    return (
        environment(Path(__file__).parent)
        .get_template("ablate.html.j2")
        .render(
            found=found,
            metric=measure,
            whole=measure.format(found.metrics[found.metric]),
            variant=variant,
            headline=headline(found),
            cells=cells,
            sizes=sizes,
            rows=_rows(found),
            curves=curves,
            json=script_json(curves),
            css=viewer_css() + page_css(),
            js=js,
            policy=content_policy(js),
        )
    )


def _curves(found: Ablation) -> list[dict[str, Any]]:
    """Return a chart for each site, as ``compare/page/page.js`` draws them."""
    measure = metric(found.metric)
    figures = []
    for site, title in found.titles.items():
        curves = [one for one in found.curves if one.site == site]
        values = [value * measure.scale() for one in curves for value in one.values]
        lines = [
            {
                "label": one.order,
                "title": _TITLES[one.order],
                "color": _COLORS[one.order],
                "dash": "solid" if one.order == "greedy" else "dash",
                "symbol": "circle" if one.order == "greedy" else "diamond",
                "x": list(one.pruned),
                "y": [shown(value * measure.scale()) for value in one.values],
                "half": None,
                "seeds": [],
            }
            for one in curves
        ]
        figure = {"title": title, "unit": measure.describe(), "range": padded(values), "x": "heads that are off"}
        figures.append({**figure, "least": 1.0, "lines": lines})
    return figures


def _rows(found: Ablation) -> list[dict[str, Any]]:
    measure = metric(found.metric)
    ends = [0.0, *(end for one in found.heads for end in (one.loss, *(one.interval or ())))]
    low, high = (pick(end for end in ends if math.isfinite(end)) for pick in (min, max))

    def at(value: float) -> float:
        return round(100 * (min(max(value, low), high) - low) / ((high - low) or 1.0), 2)

    return [
        {
            "name": name_of(found, one),
            "without": measure.format(one.metrics[found.metric]),
            "loss": _signed(found, one.loss),
            "interval": "" if one.interval is None else f"[{', '.join(_signed(found, end) for end in one.interval)}]",
            "zero": at(0.0),
            "at": at(one.loss),
            "low": at(one.interval[0]) if one.interval else 0.0,
            "width": at(one.interval[1]) - at(one.interval[0]) if one.interval else 0.0,
            "color": _WORTH if _decided(one) else _OPEN,
            "p": _p(one.p),
            "p_holm": _p(one.p_holm),
            "importance": f"{one.importance:.2f}",
        }
        for one in found.heads
    ]


def _decided(one: HeadLoss) -> bool:
    return one.p_holm is not None and one.p_holm <= ALPHA


def _p(p: float | None) -> str:
    return "–" if p is None else f"{p:.3f}" if p >= 0.001 else "<0.001"


def _signed(found: Ablation, loss: float) -> str:
    text = metric(found.metric).format(loss if math.isfinite(loss) else None)
    return text if text.startswith(("-", "–")) else f"+{text}"
