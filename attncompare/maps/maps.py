"""Attention maps as data: what they hold, how they are kept in files, and the numbers that describe each head.

Every layer and head is kept, never a mean over them: the mean of two sharp heads looks like one blurred head.
"""

import json
import re
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from attncompare.errors import Refused
from attncompare.record import Run, read_inside, write_bytes
from attncompare.record.npz import read_arrays
from attncompare.text import counted

_FORMAT = 2
_SITE = re.compile(r"[A-Za-z0-9_-]{1,60}")  # a site's name is part of file names


@dataclass(frozen=True, eq=False)
class SiteMap:
    """The weights of one attention site for one sentence.

    ``weights_LHTS`` is float32, or float16 as in files: layer, head, query, key. ``sure_TS`` and ``possible_TS`` are the
    gold alignment as booleans (Och and Ney 2003, section 3), both or neither. ``title`` names the site for people; by
    default it is the name in words. ``wave`` draws the sound that the keys stand for (:func:`attncompare.data.audio.outline`):
    the lowest and the highest sample, from -1 to 1, of equal parts of it, (parts, 2); None where they are no sound.
    """

    site: str
    queries: tuple[str, ...]
    keys: tuple[str, ...]
    weights_LHTS: np.ndarray
    sure_TS: np.ndarray | None = None
    possible_TS: np.ndarray | None = None
    title: str = ""
    wave: np.ndarray | None = None

    def __post_init__(self) -> None:
        if not _SITE.fullmatch(self.site):
            raise ValueError(f"site {self.site!r} is no name of an attention site; valid: letters, digits, _ and -")
        object.__setattr__(self, "title", self.title or self.site.replace("_", " "))
        size_TS = (len(self.queries), len(self.keys))
        if self.weights_LHTS.ndim != 4 or self.weights_LHTS.shape[2:] != size_TS:
            raise ValueError(f"{self.site}: weights have shape {self.weights_LHTS.shape}, labels say {size_TS}")
        gold = [gold_TS.shape for gold_TS in (self.sure_TS, self.possible_TS) if gold_TS is not None]
        if gold not in ([], [size_TS] * 2):
            raise ValueError(f"{self.site}: labels say {size_TS}, the gold alignment's sure and possible links {gold}")

        if self.wave is not None and (self.wave.ndim != 2 or self.wave.shape[1] != 2 or not len(self.wave)):
            raise ValueError(f"{self.site}: a drawing of sound has shape (parts, 2), not {self.wave.shape}")

    @property
    def layers(self) -> int:
        """The number L of layers."""
        return self.weights_LHTS.shape[0]

    @property
    def heads(self) -> int:
        """The number H of heads."""
        return self.weights_LHTS.shape[1]

    @cached_property
    def causal(self) -> bool:
        """Whether keys after the query are blocked: a self-attention whose weights there are all exactly 0."""
        return self.queries == self.keys and not np.triu(self.weights_LHTS, 1).any()


@dataclass(frozen=True, eq=False)
class ProbeMaps:
    """All sites for one probe sentence; ``text`` is the sentence as people read it ("source → target").

    Where the source is an image, ``image_HW`` holds its gray levels (uint8), and ``patch`` is the side in pixels of the squares
    which the first keys are, row by row.
    """

    probe: int
    text: str
    sites: tuple[SiteMap, ...]
    image_HW: np.ndarray | None = None
    patch: int = 0

    def __post_init__(self) -> None:
        if self.image_HW is not None:
            H, W = self.image_HW.shape if self.image_HW.ndim == 2 else (0, 0)
            if not (H and W) or self.patch < 1 or H % self.patch or W % self.patch:
                raise ValueError(f"an image of shape {self.image_HW.shape} has no squares of {self.patch} pixels")

    def squares(self, site: SiteMap) -> int:
        """Return how many of the first keys of a site are squares of the image; 0 where its keys are something else."""
        many = 0 if self.image_HW is None else self.image_HW.size // self.patch**2
        return many if site.queries == site.keys and len(site.keys) in (many, many + 1) else 0


@dataclass(frozen=True)
class HeadNumbers:
    """What one head does, as numbers; ``layer`` and ``head`` count from 1, as in every picture.

    ``entropy`` in nats, ``distance`` in tokens and ``largest`` weight are means over the queries that attend to
    something (0 if none does); ``aer`` is the alignment error rate, or None without gold alignment.
    """

    layer: int
    head: int
    entropy: float
    distance: float
    largest: float
    aer: float | None


def head_numbers(site_map: SiteMap) -> list[HeadNumbers]:
    """Describe each head of ``site_map``, layer by layer.

    The distance of query t is ``sum_s w_ts |pos_t - s|``. Its position ``pos_t = t (S - 1) / (T - 1)`` lies on the
    diagonal: in self-attention that is t itself, in cross-attention it scales the target's length to the source's.
    """
    w_LHTS = site_map.weights_LHTS.astype(np.float64)
    attends_LHT = w_LHTS.sum(-1) > 0
    log_LHTS = np.log(w_LHTS, out=np.zeros_like(w_LHTS), where=w_LHTS > 0)
    T, S = w_LHTS.shape[2:]
    positions_T = np.arange(T) * (S - 1) / max(T - 1, 1)
    gaps_TS = np.abs(positions_T[:, None] - np.arange(S)[None, :])
    entropy_LH, distance_LH, largest_LH = (
        (values_LHT * attends_LHT).sum(-1) / np.maximum(attends_LHT.sum(-1), 1)
        for values_LHT in (-(w_LHTS * log_LHTS).sum(-1), (w_LHTS * gaps_TS).sum(-1), w_LHTS.max(-1))
    )
    return [
        HeadNumbers(
            layer=layer + 1,
            head=head + 1,
            entropy=float(entropy_LH[layer, head]),
            distance=float(distance_LH[layer, head]),
            largest=float(largest_LH[layer, head]),
            aer=alignment_error_rate(w_LHTS[layer, head], site_map.sure_TS, site_map.possible_TS),
        )
        for layer, head in np.ndindex(w_LHTS.shape[:2])
    ]


def alignment_error_rate(
    weights_TS: np.ndarray, sure_TS: np.ndarray | None, possible_TS: np.ndarray | None
) -> float | None:
    """Return ``1 - (|A & S| + |A & P|) / (|A| + |S|)`` (Och and Ney 2003, section 3), or None without gold links.

    The links A join each query that has a gold link to the key with its largest weight. 0 is perfect, 1 is all wrong.
    """
    if sure_TS is None or possible_TS is None:
        return None
    possible_TS = possible_TS | sure_TS
    rows = np.flatnonzero(possible_TS.any(-1))
    if not rows.size:
        return None
    keys = weights_TS[rows].argmax(-1)
    hits = np.count_nonzero(sure_TS[rows, keys]) + np.count_nonzero(possible_TS[rows, keys])
    return 1.0 - hits / (rows.size + np.count_nonzero(sure_TS))


def save_maps(path: Path, step: int, probes: list[ProbeMaps]) -> None:
    """Write ``probes`` at training step ``step`` into one npz, whole or not at all; weights are rounded to float16."""
    header: dict[str, Any] = {"format": _FORMAT, "step": step, "probes": []}
    arrays: dict[str, np.ndarray] = {}
    for index, probe in enumerate(probes):
        sites = []
        for site in probe.sites:
            name = f"{index}/{site.site}"
            sites.append({"site": site.site, "title": site.title, "queries": site.queries, "keys": site.keys})
            arrays[f"{name}/weights"] = site.weights_LHTS.astype(np.float16)
            if site.sure_TS is not None and site.possible_TS is not None:
                arrays[f"{name}/sure"], arrays[f"{name}/possible"] = site.sure_TS, site.possible_TS
            if site.wave is not None:
                arrays[f"{name}/wave"] = site.wave.astype(np.float16)
        header["probes"].append({"probe": probe.probe, "text": probe.text, "sites": sites})
        if probe.image_HW is not None:
            header["probes"][-1]["patch"] = probe.patch
            arrays[f"{index}/image"] = probe.image_HW
    # JSON as bytes, because numpy's own text arrays would need four bytes a character.
    arrays["header"] = np.frombuffer(json.dumps(header).encode(), dtype=np.uint8)
    buffer = BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    write_bytes(path, buffer.getvalue())


def load_maps(path: Path) -> tuple[int, list[ProbeMaps]]:
    """Read what :func:`save_maps` wrote: the training step and the probes.

    Raises:
        Refused: if there is no such file, or it is damaged.
    """
    return maps_from(read_inside(path.parent, path.name), path)


def maps_of(run: Run) -> list[tuple[int, list[ProbeMaps]]]:
    """Return the attention maps in the record of a run: the step of each capture, and its sentences."""
    captures = (maps_from(run.read(f"maps/{file.name}"), file) for file in run.map_files())
    return sorted(captures, key=lambda one: one[0])


def maps_from(content: bytes, path: Path) -> tuple[int, list[ProbeMaps]]:
    """Return the training step and the probes in ``content``, what :func:`save_maps` wrote to ``path``.

    Raises:
        Refused: if it is damaged, too large, or holds anything else.
    """
    try:
        arrays = read_arrays(content)
        header = json.loads(arrays.pop("header").tobytes())
        if header["format"] != _FORMAT:
            raise ValueError(f"format {header['format']}, this version reads {_FORMAT}")
        probes = [_probe(arrays, index, probe) for index, probe in enumerate(header["probes"])]
        if arrays:  # all that belongs to a probe was taken out
            raise ValueError(f"{counted(len(arrays), 'array')} beyond those of its probes, first {next(iter(arrays))}")
        return int(header["step"]), probes
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise Refused(f"{path}: not a readable file of attention maps ({reason})") from None


def _probe(arrays: dict[str, np.ndarray], index: int, probe: dict[str, Any]) -> ProbeMaps:
    sites = tuple(_site(arrays, f"{index}/{site['site']}", site) for site in probe["sites"])
    image = arrays.pop(f"{index}/image", None)
    if image is not None and image.dtype != np.uint8:
        raise ValueError(f"{index}/image holds no gray levels")
    return ProbeMaps(int(probe["probe"]), str(probe["text"]), sites, image, int(probe.get("patch", 0)))


def _site(arrays: dict[str, np.ndarray], name: str, site: dict[str, Any]) -> SiteMap:
    parts = ("weights", "sure", "possible", "wave")
    weights, sure, possible, wave = (arrays.pop(f"{name}/{part}", None) for part in parts)
    if weights is None or weights.dtype != np.float16 or not np.isfinite(weights).all():
        raise ValueError(f"{name} has no weights, or some that are NaN or infinite")
    if wave is not None and not np.isfinite(wave).all():
        raise ValueError(f"{name} has a drawing of sound with NaN or infinity")
    return SiteMap(
        site=site["site"],
        queries=tuple(map(str, site["queries"])),
        keys=tuple(map(str, site["keys"])),
        weights_LHTS=weights,
        sure_TS=None if sure is None else sure.astype(bool),
        possible_TS=None if possible is None else possible.astype(bool),
        title=str(site["title"]),
        wave=wave,
    )
