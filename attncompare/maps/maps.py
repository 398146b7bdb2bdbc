"""Attention maps as data: what they hold, how they are kept in files, and the numbers that describe each head.

Every layer and head is kept, never a mean over them: the mean of two sharp heads looks like one blurred head.
"""

import json
import re
from dataclasses import dataclass, replace
from functools import cached_property
from io import BytesIO
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from attncompare.errors import Refused
from attncompare.record import Run, read_inside, write_bytes
from attncompare.record.npz import read_arrays
from attncompare.registry import unknown
from attncompare.text import counted

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_FORMAT = 2
_SITE = re.compile(r"[A-Za-z0-9_-]{1,60}")  # a site's name is part of file names


@dataclass(frozen=True, eq=False)
class SiteMap:
    """The weights of one attention site for one sentence.

    ``weights_LHTS`` is float32, or float16 as in files: layer, head, query, key. ``sure_TS`` and ``possible_TS`` are the
    gold alignment as booleans (Och and Ney 2003, section 3), both or neither. ``title`` names the site for people; by
    default it is the name in words. ``wave`` draws the sound that the keys stand for (:func:`attncompare.data.audio.outline`):
    the lowest and the highest sample, from -1 to 1, of equal parts of it, (parts, 2); None where they are no sound.

    ``written`` are the tokens that the rows of cross-attention write, each one place after the token of ``queries``, which is
    read there; None in self-attention. ``norms_LHTS`` are the norms of the weighted values, the weights times
    :meth:`attncompare.attention.Attention.value_norms`; None where there are none, and ``no_norms`` may say why.
    ``scores_LH`` is the largest score of each head that enters the normalizer, NaN where a layer has no such head; None where
    it is not known.
    """

    site: str
    queries: tuple[str, ...]
    keys: tuple[str, ...]
    weights_LHTS: np.ndarray
    sure_TS: np.ndarray | None = None
    possible_TS: np.ndarray | None = None
    title: str = ""
    wave: np.ndarray | None = None
    written: tuple[str, ...] | None = None
    norms_LHTS: np.ndarray | None = None
    no_norms: str = ""
    scores_LH: np.ndarray | None = None

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
        if self.written is not None and len(self.written) != len(self.queries):
            raise ValueError(f"{self.site}: {len(self.queries)} tokens are read, {len(self.written)} written")
        if self.norms_LHTS is not None and self.norms_LHTS.shape != self.weights_LHTS.shape:
            raise ValueError(f"{self.site}: norms {self.norms_LHTS.shape}, weights {self.weights_LHTS.shape}")
        if self.wave is not None and (self.wave.ndim != 2 or self.wave.shape[1] != 2 or not len(self.wave)):
            raise ValueError(f"{self.site}: a drawing of sound has shape (parts, 2), not {self.wave.shape}")
        if self.scores_LH is not None and self.scores_LH.shape != self.weights_LHTS.shape[:2]:
            raise ValueError(f"{self.site}: scores of shape {self.scores_LH.shape} are not one for each layer and head")

    @property
    def layers(self) -> int:
        """The number L of layers."""
        return self.weights_LHTS.shape[0]

    @property
    def heads(self) -> int:
        """The number H of heads."""
        return self.weights_LHTS.shape[1]

    def plot(self, layer: int | None = None, head: int | None = None) -> "Figure":
        """Draw the heads as a matplotlib figure, a row of panels for each layer, on one scale from 0 to 1.

        ``layer`` and ``head``, from 1 as in every picture, choose; None: all. Raises Refused if there is no such one.
        """
        for name, asked, there in (("layer", layer, self.layers), ("head", head, self.heads)):
            if asked is not None and not 1 <= asked <= there:
                raise Refused(f"{name}={asked}: {self.site} has {counted(there, name)}; valid: 1 to {there}")
        from matplotlib import pyplot  # takes long

        layers = range(self.layers) if layer is None else [layer - 1]
        heads = range(self.heads) if head is None else [head - 1]
        T, S = len(self.queries), len(self.keys)
        size = (2.5 + 0.32 * max(S, 4) * len(heads), 1.5 + 0.32 * max(T, 4) * len(layers))
        figure, panels = pyplot.subplots(len(layers), len(heads), figsize=size, squeeze=False, layout="constrained")
        pyplot.close(figure)  # else a notebook shows it twice
        for row, one_layer in zip(panels, layers, strict=True):
            for panel, one_head in zip(row, heads, strict=True):
                shown = self.weights_LHTS[one_layer, one_head].astype(np.float32)
                image = panel.imshow(shown, cmap="magma_r", vmin=0, vmax=1)
                panel.set_title(f"layer {one_layer + 1} · head {one_head + 1}", fontsize="small")
                panel.set_xticks(range(S), self.keys, rotation=90, fontsize="small", parse_math=False)
                panel.set_yticks(range(T), self.rows, fontsize="small", parse_math=False)
        query, key = self.axes
        figure.supxlabel(key), figure.supylabel(query)
        figure.suptitle(self.title)
        figure.colorbar(image, ax=panels, label="weight")
        return figure

    @property
    def rows(self) -> tuple[str, ...]:
        """What rows are called: the tokens that they write, else those that they read."""
        return self.written or self.queries

    @property
    def axes(self) -> tuple[str, str]:
        """What rows and columns are, in words."""
        return "query (the token being written)" if self.written else "query", "key"

    @property
    def is_self(self) -> bool:
        """Whether queries and keys are one sequence."""
        return self.written is None and self.queries == self.keys

    @cached_property
    def causal(self) -> bool:
        """Whether keys after the query are blocked: a self-attention whose weights there are all exactly 0."""
        return self.is_self and not np.triu(self.weights_LHTS, 1).any()

    @property
    def mean(self) -> "SiteMap":
        """The mean of the weights over the heads of each layer, as a site with one head."""
        mean_L1TS = self.weights_LHTS.astype(np.float32).mean(1, keepdims=True)
        return replace(self, weights_LHTS=mean_L1TS, norms_LHTS=None, scores_LH=None)

    @cached_property
    def rollout(self) -> np.ndarray | None:
        """Attention rollout, (L, T, T): how much of what layer l says of position t came from position s.

        Abnar and Zuidema 2020, equation 1 and section 3: ``A = 0.5 W + 0.5 I`` of each layer, W the mean over heads, and the
        product of the layers up to l; each row of A is divided by its sum, so that a query that attends to nothing stays itself.
        None for cross-attention, and where a weight is negative.
        """
        if not self.is_self or self.weights_LHTS.min(initial=0) < 0:
            return None
        a_LTT = self.weights_LHTS.astype(np.float64).mean(1) + np.eye(len(self.keys))
        a_LTT /= a_LTT.sum(-1, keepdims=True)
        return np.stack([*accumulate(a_LTT, lambda below, a_TT: a_TT @ below)]).astype(np.float32)


@dataclass(frozen=True, eq=False)
class ProbeMaps:
    """All sites for one probe sentence; ``text`` is the sentence as people read it ("source → target").

    Where the source is an image, ``image_HW`` holds its gray levels (uint8), and ``patch`` is the side in pixels of the squares
    which the first keys are, row by row. ``next_tokens`` are for each target token that is read the likeliest next ones with
    their probabilities, the likeliest first; None where the model was not asked, or writes nothing.
    """

    probe: int
    text: str
    sites: tuple[SiteMap, ...]
    image_HW: np.ndarray | None = None
    patch: int = 0
    next_tokens: tuple[tuple[str, tuple[tuple[str, float], ...]], ...] | None = None

    def __post_init__(self) -> None:
        if self.image_HW is not None:
            H, W = self.image_HW.shape if self.image_HW.ndim == 2 else (0, 0)
            if not (H and W) or self.patch < 1 or H % self.patch or W % self.patch:
                raise ValueError(f"an image of shape {self.image_HW.shape} has no squares of {self.patch} pixels")

    def squares(self, site: SiteMap) -> int:
        """Return how many of the first keys of a site are squares of the image; 0 where its keys are something else."""
        many = 0 if self.image_HW is None else self.image_HW.size // self.patch**2
        return many if site.queries == site.keys and len(site.keys) in (many, many + 1) else 0

    def __repr__(self) -> str:
        return f"ProbeMaps({self.text!r}, {', '.join(f'{one.site} {one.weights_LHTS.shape}' for one in self.sites)})"

    def plot(self, site: str | None = None, layer: int | None = None, head: int | None = None) -> "Figure":
        """Draw one site, by default the last (of a translation: cross-attention); see :meth:`SiteMap.plot`."""
        by_name = {one.site: one for one in self.sites}
        if site is not None and site not in by_name:
            raise Refused(unknown("site", site, by_name))
        return (self.sites[-1] if site is None else by_name[site]).plot(layer, head)


@dataclass(frozen=True)
class HeadNumbers:
    """What one head does, as numbers; ``layer`` and ``head`` count from 1, as in every picture.

    ``entropy`` in nats, ``distance`` in tokens, ``largest`` weight and the weight of the ``first`` key are means over the
    queries that attend to something (0 if none does); ``aer`` is the alignment error rate, or None without gold alignment;
    ``score`` is the largest score before the normalizer, over all queries and the keys that they may see, or None where it is
    not known.
    """

    layer: int
    head: int
    entropy: float
    distance: float
    largest: float
    aer: float | None
    first: float
    score: float | None


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
    entropy_LH, distance_LH, largest_LH, first_LH = (
        (values_LHT * attends_LHT).sum(-1) / np.maximum(attends_LHT.sum(-1), 1)
        for values_LHT in (-(w_LHTS * log_LHTS).sum(-1), (w_LHTS * gaps_TS).sum(-1), w_LHTS.max(-1), w_LHTS[..., 0])
    )
    return [
        HeadNumbers(
            layer=layer + 1,
            head=head + 1,
            entropy=float(entropy_LH[layer, head]),
            distance=float(distance_LH[layer, head]),
            largest=float(largest_LH[layer, head]),
            aer=alignment_error_rate(w_LHTS[layer, head], site_map.sure_TS, site_map.possible_TS),
            first=float(first_LH[layer, head]),
            score=None if site_map.scores_LH is None else float(site_map.scores_LH[layer, head]),
        )
        for layer, head in np.ndindex(w_LHTS.shape[:2])
    ]


def head_similarity(weights_LHTS: np.ndarray) -> np.ndarray:
    """Return how alike each head is to the others of its layer, (L, H): 1 if all attend alike; NaN without others.

    It is ``1 - JS / log 2``, a mean over the other heads and over the queries at which both attend to something, where JS is
    the Jensen-Shannon divergence of their weights (Lin 1991, section IV; between heads: Clark et al. 2019, section 6).
    Weights below 0 count as 0, and those of a query are scaled to the sum 1.
    """
    w_LHTS = np.maximum(weights_LHTS.astype(np.float64), 0)
    sums_LHT = w_LHTS.sum(-1)
    w_LHTS /= np.where(sums_LHT > 0, sums_LHT, 1)[..., None]

    def entropy(p: np.ndarray) -> np.ndarray:
        return -(p * np.log(p, out=np.zeros_like(p), where=p > 0)).sum(-1)

    own_LHT, (L, H) = entropy(w_LHTS), sums_LHT.shape[:2]
    alike_LHH = np.full((L, H, H), np.nan)
    for head in range(H - 1):
        both_LXT = (sums_LHT[:, head : head + 1] > 0) & (sums_LHT[:, head + 1 :] > 0)
        mixed_LXT = entropy((w_LHTS[:, head : head + 1] + w_LHTS[:, head + 1 :]) / 2)
        apart_LXT = (mixed_LXT - (own_LHT[:, head : head + 1] + own_LHT[:, head + 1 :]) / 2) * both_LXT
        count_LX = both_LXT.sum(-1)
        alike_LX = 1 - apart_LXT.sum(-1) / np.maximum(count_LX, 1) / np.log(2)
        alike_LX[count_LX == 0] = np.nan
        alike_LHH[:, head, head + 1 :] = alike_LHH[:, head + 1 :, head] = alike_LX
    known_LH = (~np.isnan(alike_LHH)).sum(-1)
    return np.where(known_LH > 0, np.nansum(alike_LHH, -1) / np.maximum(known_LH, 1), np.nan)


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
    """Write ``probes`` at training step ``step`` into one npz, whole or not at all; weights and scores are rounded to float16."""
    header: dict[str, Any] = {"format": _FORMAT, "step": step, "probes": []}
    arrays: dict[str, np.ndarray] = {}
    for index, probe in enumerate(probes):
        sites = []
        for site in probe.sites:
            name = f"{index}/{site.site}"
            sites.append({"site": site.site, "title": site.title, "queries": site.queries, "keys": site.keys})
            if site.written is not None:
                sites[-1]["written"] = site.written
            arrays[f"{name}/weights"] = site.weights_LHTS.astype(np.float16)
            if site.sure_TS is not None and site.possible_TS is not None:
                arrays[f"{name}/sure"], arrays[f"{name}/possible"] = site.sure_TS, site.possible_TS
            if site.wave is not None:
                arrays[f"{name}/wave"] = site.wave.astype(np.float16)
            if site.scores_LH is not None:
                arrays[f"{name}/scores"] = site.scores_LH.astype(np.float16)
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
    parts = ("weights", "sure", "possible", "wave", "scores")
    weights, sure, possible, wave, scores = (arrays.pop(f"{name}/{part}", None) for part in parts)
    if weights is None or weights.dtype != np.float16 or not np.isfinite(weights).all():
        raise ValueError(f"{name} has no weights, or some that are NaN or infinite")
    if scores is not None and scores.dtype != np.float16:
        raise ValueError(f"{name} has scores that are no numbers")
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
        written=tuple(map(str, site["written"])) if site.get("written") else None,
        scores_LH=scores,
    )
