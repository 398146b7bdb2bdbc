"""The pictures of a record, as they were shown while it was made."""

import re

from attncompare.maps.maps import SITES
from attncompare.record import Run

_PICTURE = re.compile(rf"maps/step-(\d+)-probe(\d+)-({'|'.join(SITES)})\.png")


def pictures_by_step(run: Run) -> dict[int, dict[str, str]]:
    """Return for each step the pictures of its maps: the file's name in the record by the name in the view.

    Raises:
        Refused: if the manifest of a finished run is damaged.
    """
    if run.state == "finished":
        names = [name for name in run.summary if run.has(name)]
    else:
        names = [f"maps/{file.name}" for file in (run.path / "maps").glob("*.png")]
    found = sorted(
        (int(match[1]), int(match[2]), SITES.index(match[3]), match[0])
        for match in map(_PICTURE.fullmatch, names)
        if match
    )
    pictures: dict[int, dict[str, str]] = {}
    for step, probe, site, name in found:
        pictures.setdefault(step, {})[f"maps/{SITES[site]}/probe{probe}"] = name
    return pictures
