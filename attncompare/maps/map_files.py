"""The files of the attention maps of one step: all numbers, and pictures of the first sentences."""

from collections.abc import Sequence
from pathlib import Path

from attncompare.data.module import Probe
from attncompare.tasks.base import Task
from attncompare.record import write_bytes
from attncompare.maps.heatmap import heatmap_png
from attncompare.maps.maps import SITE_TITLES, save_maps
from attncompare.maps.probing import probe_maps


def keep_maps(run: Path, task: Task, probes: Sequence[Probe], step: int, images: int) -> dict[str, bytes]:
    """Write the maps of ``probes`` as they are after ``step``, and return the pictures by W&B's name of each.

    Args:
        run: the run's folder.
        task: whose model attends.
        probes: the sentences; without any nothing is written.
        step: optimizer steps done.
        images: how many of the sentences are drawn.
    """
    if not probes:
        return {}
    folder = run / "maps"
    folder.mkdir(exist_ok=True)
    maps = [probe_maps(task, n, probe) for n, probe in enumerate(probes)]
    save_maps(folder / f"step-{step:07d}.npz", step, maps)
    pictures = {}
    for one in maps[:images]:
        for site in one.sites:
            title = f"{task.config.attention.name}, {SITE_TITLES[site.site]}, step {step}"
            png = heatmap_png(site, title)
            write_bytes(folder / f"step-{step:07d}-probe{one.probe}-{site.site}.png", png)
            pictures[f"maps/{site.site}/probe{one.probe}"] = png
    return pictures
