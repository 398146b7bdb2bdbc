"""Inside a model that reads a sentence: its maps, the norms of its weighted values, and what it takes for likely next."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from attncompare.attention import Attention
from attncompare.data.kinds import Probe
from attncompare.data.tokenizer import Tokenizer
from attncompare.errors import Refused
from attncompare.maps import ProbeMaps, SiteMap, probe_maps
from attncompare.tasks import Task

_MOST = 5  # likely tokens of a place


@dataclass(frozen=True)
class Likely:
    """What a model takes for likely at one place.

    Attributes:
        token: what stands there, or was drawn.
        probability: its own.
        tokens: the likeliest tokens with their probabilities, the likeliest first.
    """

    token: str
    probability: float
    tokens: tuple[tuple[str, float], ...]


def look_inside(task: Task, number: int, probe: Probe) -> ProbeMaps:
    """Return the maps of sentence ``number`` (:func:`attncompare.maps.probe_maps`), with norms and likely next tokens."""
    try:
        modules, no_norms = task.attentions, ""
    except Refused as error:  # a backbone that calls its sites otherwise than it asked for their modules
        modules, no_norms = {}, str(error)
    with ExitStack() as stack:
        logits = stack.enter_context(next_logits(task, probe))
        values = {name: [stack.enter_context(_values_of(one)) for one in modules[name]] for name in modules}
        maps = probe_maps(task, number, probe)
    sites = tuple(
        _with_norms(site, modules[site.site], values[site.site]) if modules else replace(site, no_norms=no_norms)
        for site in maps.sites
    )
    next_tokens = None
    if logits:
        read, next_T = task.tokenizer.labels(probe.target_ids[:-1]), torch.tensor(probe.target_ids[1:])
        likely = likeliest(task.tokenizer, logits[-1].softmax(-1), next_T)
        next_tokens = tuple((token, one.tokens) for token, one in zip(read, likely, strict=True))
    return replace(maps, sites=sites, next_tokens=next_tokens)


@contextmanager
def next_logits(task: Task, probe: Probe) -> Iterator[list[Tensor]]:
    """Collect the logits (T, V) of the token after each of the probe's, whenever the model reads it as a whole.

    A model that predicts no next token leaves the list empty.
    """
    found: list[Tensor] = []
    wanted = (len(probe.target_ids) - 1, task.tokenizer.vocab_size)

    def collect(_: Any, __: Any, output: Any) -> None:
        logits_BTV = getattr(output, "logits_BTV", None)
        if task.architecture != "encoder_only" and logits_BTV is not None and logits_BTV.shape[1:] == wanted:
            found.append(logits_BTV[0].float().cpu())

    handle = task.model.register_forward_hook(collect)
    try:
        yield found
    finally:
        handle.remove()


def likeliest(tokenizer: Tokenizer, probability_TV: Tensor, token_T: Tensor) -> list[Likely]:
    """Return what is likely at each of T places, of which ``token_T`` says what stands there."""
    top = probability_TV.topk(min(_MOST, probability_TV.shape[1]), dim=-1)
    own_T = probability_TV.gather(1, token_T[:, None])[:, 0]
    rows = zip(
        tokenizer.labels(token_T.tolist()), own_T.tolist(), top.indices.tolist(), top.values.tolist(), strict=True
    )
    return [
        Likely(token, own, tuple(zip(tokenizer.labels(ids), values, strict=True))) for token, own, ids, values in rows
    ]


@contextmanager
def _values_of(module: Attention) -> Iterator[list[Tensor]]:
    """Collect the newest values (B, G, S, V) of a module: the last call sees all keys, also where a model reads step by step."""
    found: list[Tensor] = []

    def collect(v_BGSV: Tensor) -> None:
        found[:] = [v_BGSV]

    module.on_values = collect
    try:
        yield found
    finally:
        module.on_values = None


@torch.no_grad()
def _with_norms(site: SiteMap, modules: list[Attention], values: list[list[Tensor]]) -> SiteMap:
    """Return a site with the norms of its weighted values, or the reason why there are none."""
    norms = []
    try:
        for module, found in zip(modules, values, strict=True):
            norms.append(module.value_norms(found[-1])[0].float().cpu().numpy())
    except Refused as error:
        return replace(site, no_norms=str(error))
    norms_LHS = np.stack(norms)
    if norms_LHS.shape != (site.layers, site.heads, len(site.keys)):
        return replace(site, no_norms="the model keeps the values of some keys alone")
    return replace(site, norms_LHTS=np.abs(site.weights_LHTS) * norms_LHS[:, :, None, :])
