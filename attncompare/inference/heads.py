"""Head detectors: how much each head of a finished run does what papers have found heads to do, as a score from 0 to 1.

A detector names the keys that a head of its kind looks at from each query. The score is the mean, over the queries that have
such keys, of the share of the query's weight that lies on them; of a ``sharp`` detector, the share of the queries whose largest
weight does. The share is of absolute weights, so that it lies in [0, 1] also where weights are negative or do not sum to one.
In self-attention the first query, which often sees nothing but itself, is left out.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from rich.table import Table

from attncompare.data.kinds import Probe
from attncompare.data.module import DataModule
from attncompare.data.tokenizer import BOS, EOS, SPECIALS
from attncompare.errors import Refused
from attncompare.inference.trained import TrainedRun
from attncompare.maps import SiteMap, probe_maps
from attncompare.text import printable

_OFFSETS = range(-5, 6)
_LONGEST = 25  # random tokens before they are repeated
_SEQUENCES = 20


@dataclass(frozen=True)
class Detector:
    """One kind of heads.

    Attributes:
        definition: what the score is of, with its source.
        goals: the keys that it looks at, boolean (G, T, S), of which the G with the highest score counts; None: the kind does
            not exist at that site.
        sharp: whether the largest weight counts instead of the share of the weight.
        random: whether it is judged by random tokens that are repeated instead of sentences.
    """

    definition: str
    goals: Callable[[SiteMap], np.ndarray | None]
    sharp: bool = False
    random: bool = False


@dataclass(frozen=True)
class HeadScores:
    """The score of one head in each of :data:`DETECTORS`; ``layer`` and ``head`` count from 1.

    A score is None where the kind does not exist, or no query has such keys. ``offset`` is that of ``positional``.
    """

    site: str
    title: str
    layer: int
    head: int
    scores: dict[str, float | None]
    offset: int | None


def _before(site: SiteMap) -> np.ndarray | None:
    """Return where a key stands before the query and is the same token, (T, S); None where queries are not the keys."""
    tokens = np.array(site.queries)
    return np.tril(tokens[:, None] == tokens[None, :], -1) if site.queries == site.keys else None


def _previous(site: SiteMap) -> np.ndarray | None:
    return np.eye(len(site.queries), k=-1, dtype=bool)[None] if site.queries == site.keys else None


def _duplicate(site: SiteMap) -> np.ndarray | None:
    before_TS = _before(site)
    return None if before_TS is None else before_TS[None]


def _induction(site: SiteMap) -> np.ndarray | None:
    before_TS = _before(site)
    return None if before_TS is None else np.pad(before_TS, ((0, 0), (1, 0)))[None, :, :-1]


def _first(site: SiteMap) -> np.ndarray:
    goal_TS = np.zeros((len(site.queries), len(site.keys)), dtype=bool)
    goal_TS[:, 0] = True
    return goal_TS[None]


def _positional(site: SiteMap) -> np.ndarray | None:
    T = len(site.queries)
    return np.array([np.eye(T, k=one, dtype=bool) for one in _OFFSETS]) if site.queries == site.keys else None


def _aligned(site: SiteMap) -> np.ndarray | None:
    return None if site.sure_TS is None or site.possible_TS is None else (site.sure_TS | site.possible_TS)[None]


DETECTORS = {
    "previous_token": Detector("weight on the token before (Elhage et al. 2021; Olsson et al. 2022)", _previous),
    "duplicate_token": Detector("weight on earlier places of the same token (Wang et al. 2022, section 3)", _duplicate),
    "induction": Detector(
        "weight on the tokens that came after the same token before, in random tokens that are repeated: the score of prefix "
        "matching (Olsson et al. 2022; Elhage et al. 2021)",
        _induction,
        random=True,
    ),
    "first_token": Detector("weight on the first token, as a sink (Xiao et al. 2023, section 3)", _first),
    "positional": Detector(
        "queries whose largest weight lies at one distance, the best of -5 to 5 (Voita et al. 2019, section 5)",
        _positional,
        sharp=True,
    ),
    "alignment": Detector(
        "aligned queries whose largest weight lies on a gold link: precision (Och and Ney 2003, section 3)",
        _aligned,
        sharp=True,
    ),
}


def find_heads(trained: TrainedRun, sentences: int = 100) -> list[HeadScores]:
    """Score every head of a run on so many sentences of val, and on 20 sequences of random tokens that are repeated.

    Raises:
        Refused: if ``sentences`` is not positive, the model has no attention, or the run's data cannot be had.
    """
    if sentences < 1:
        raise Refused(f"sentences={sentences}: must be a positive integer")
    if not trained.task.sites:
        raise Refused(f"{trained.run.path}: the model has no attention, so no heads")
    data = DataModule(trained.run.config, tokenizers=trained.tokenizers)
    probes = data.probes(sentences)
    return score_heads(
        trained.task, probes, [one for one in map(repeated_tokens(trained.task), probes[:1] * _SEQUENCES) if one]
    )


def repeated_tokens(task: Any) -> Callable[[Probe], Probe | None]:
    """Return a function that puts random tokens, repeated once, in the place of a probe's own; None where there are none.

    Only the sides that attend to themselves get them; a side of vectors stays as it is.
    """
    generator = np.random.default_rng(0)
    sides = {site.queries for site in task.sites.values() if site.queries == site.keys}

    def repeated(tokenizer: Any) -> list[int]:
        ids = np.arange(len(SPECIALS), tokenizer.vocab_size)
        length = min(_LONGEST, len(ids), (task.config.task.max_length - 2) // 2)
        return [int(one) for one in generator.choice(ids, max(0, length), replace=False)] * 2

    def random(probe: Probe) -> Probe | None:
        changes: dict[str, Any] = {}
        if "source" in sides and isinstance(probe.source_ids, list):
            changes["source_ids"] = [*repeated(task.source_tokenizer), EOS]
        if "target" in sides:
            changes["target_ids"] = [BOS, *repeated(task.tokenizer), EOS]
        return replace(probe, sure_TS=None, possible_TS=None, written="", **changes) if changes else None

    return random


def score_heads(task: Any, sentences: Sequence[Probe], random: Sequence[Probe]) -> list[HeadScores]:
    """Score every head of ``task``'s model on ``sentences``, and on ``random`` probes of tokens that are repeated."""
    sums: dict[tuple[str, str], Any] = {}  # (2, G, L, H)
    titles: dict[str, SiteMap] = {}
    for probes, drawn in ((sentences, False), (random, True)):
        for probe in probes:
            for site in probe_maps(task, 0, probe).sites:
                titles.setdefault(site.site, site)
                for name, detector in DETECTORS.items():
                    if detector.random == drawn and (goals := detector.goals(site)) is not None:
                        found = np.stack(_hits(site, goals, detector.sharp))
                        sums[site.site, name] = sums[site.site, name] + found if (site.site, name) in sums else found
    heads = []
    for name, site in titles.items():
        for layer, head in np.ndindex(site.layers, site.heads):
            best = {one: _best(sums.get((name, one)), layer, head) for one in DETECTORS}
            if any(count for *_, count in best.values()):  # a layer may have fewer heads than others
                scores = {one: score for one, (score, _, _) in best.items()}
                offset = None if scores["positional"] is None else _OFFSETS[best["positional"][1]]
                heads.append(HeadScores(name, site.title, layer + 1, head + 1, scores, offset))
    return heads


def _hits(site: SiteMap, goals_GTS: np.ndarray, sharp: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return the sum over queries of what lies on the goals, and the number of these queries, (G, L, H) each."""
    weights_LHTS = np.abs(site.weights_LHTS.astype(np.float64))
    total_LHT = weights_LHTS.sum(-1)
    share_LHTS = weights_LHTS / np.where(total_LHT > 0, total_LHT, 1)[..., None]
    if sharp:
        share_LHTS = np.eye(len(site.keys))[weights_LHTS.argmax(-1)] * (total_LHT > 0)[..., None]
    rows_GT: np.ndarray = np.asarray(goals_GTS.any(-1))
    rows_GT[:, 0] &= site.queries != site.keys
    goals_GTS, attends_LHT = (goals_GTS & rows_GT[..., None]).astype(float), (total_LHT > 0).astype(float)
    on_goal_GLH = np.einsum("gts,lhts->glh", goals_GTS, share_LHTS)
    return on_goal_GLH, np.einsum("gt,lht->glh", rows_GT.astype(float), attends_LHT)


def _best(sums_2GLH: Any, layer: int, head: int) -> tuple[float | None, int, int]:
    """Return the highest score of a head, which of the goals has it, and the number of queries."""
    if sums_2GLH is None or not sums_2GLH[1, :, layer, head].any():
        return None, 0, 0
    hits_G, counts_G = sums_2GLH[:, :, layer, head]
    scores_G = hits_G / np.maximum(counts_G, 1)
    best = int(scores_G.argmax())
    return float(scores_G[best]), best, int(counts_G[best])


def heads_table(found: Sequence[HeadScores]) -> Table:
    """Return the scores as a table; those of at least one half are bold, and kinds that no site has are left out."""
    there = [name for name in DETECTORS if any(one.scores[name] is not None for one in found)]
    table = Table(box=None, header_style="bold", padding=(0, 1, 0, 0))
    for column in ("site", "layer", "head", *there):
        table.add_column(column.replace("_", "\n"), justify="left" if column == "site" else "right")
    for one in found:
        scores = (_written(one, name) for name in there)
        table.add_row(printable(one.site), str(one.layer), str(one.head), *scores)
    return table


def _written(one: HeadScores, name: str) -> str:
    score = one.scores[name]
    if score is None:
        return "–"
    text = f"{score:.2f}" + (f" ({one.offset:+d})" if name == "positional" else "")
    return f"[bold]{text}[/bold]" if score >= 0.5 else text


def heads_data(trained: TrainedRun, sentences: int, found: Sequence[HeadScores]) -> dict[str, Any]:
    """Return the scores with their definitions as JSON values."""
    return {
        "format": 1,
        "run": str(trained.run.path),
        "checkpoint": trained.weights_file,
        "sentences": sentences,
        "definitions": {name: one.definition for name, one in DETECTORS.items()},
        "heads": [asdict(one) for one in found],
    }
