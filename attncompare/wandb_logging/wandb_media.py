"""Pictures, tables and pages of a record as W&B takes them."""

import io
from typing import Any

import wandb
from PIL import Image

from attncompare.maps.maps import ProbeMaps, head_numbers

_PREDICTIONS = 100  # rows of the table; the record keeps all
_HEAD_COLUMNS = ["probe", "site", "layer", "head", "entropy", "distance", "largest", "aer"]


def image(png: bytes) -> wandb.Image:
    """Return a picture; anything but PNG is an error."""
    return wandb.Image(Image.open(io.BytesIO(png), formats=["PNG"]))


def predictions_table(predictions: list[dict[str, Any]]) -> wandb.Table:
    """Return the first rows of ``predictions.jsonl``."""
    columns = list(predictions[0])
    return wandb.Table(columns=columns, data=[[row[name] for name in columns] for row in predictions[:_PREDICTIONS]])


def maps_page(page: str) -> wandb.Html:
    """Return the interactive page of maps."""
    return wandb.Html(page, inject=False)  # W&B would otherwise add a link to a style sheet of its own


def heads_table(probes: list[ProbeMaps]) -> wandb.Table:
    """Return the numbers that describe each head on each probe sentence."""
    rows = [
        [probe.probe, site.site, head.layer, head.head, head.entropy, head.distance, head.largest, head.aer]
        for probe in probes
        for site in probe.sites
        for head in head_numbers(site)
    ]
    return wandb.Table(columns=_HEAD_COLUMNS, data=rows)


def resend(run: wandb.Run, values: dict[str, Any], row: int) -> None:
    """Send the files of a row again that W&B's server has already, under the names that the row gives them."""
    for key, value in values.items():
        if isinstance(value, wandb.Image | wandb.Html | wandb.Table):
            value.bind_to_run(run, key, row)
