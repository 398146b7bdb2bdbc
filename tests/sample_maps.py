"""Attention maps for tests: random but plausible, the same for the same arguments."""

import numpy as np

from attncompare.maps.maps import ProbeMaps, SiteMap


def sample_site(site="cross", layers=2, heads=1, queries=5, keys=6, *, seed=0, gold=False, causal=False):
    scores = np.random.default_rng(seed).normal(size=(layers, heads, queries, keys)) * 2
    if causal:
        scores = np.where(np.tril(np.ones((queries, keys), bool)), scores, -np.inf)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    weights = (weights / weights.sum(-1, keepdims=True)).astype(np.float32)
    sure = np.eye(queries, keys, dtype=bool) if gold else None
    possible = sure | np.eye(queries, keys, 1, dtype=bool) if gold else None
    labels = tuple(f"▁k{s}" for s in range(keys))
    read = tuple(f"▁q{t}" for t in range(queries))
    title = {"cross": "cross-attention"}.get(site, site.replace("_self", " self-attention"))
    axes = (read, labels) if site == "cross" else (read, read)
    return SiteMap(site, *axes, weights, sure, possible, title)


def sample_probe(probe=0, heads=1, seed=0, text="three days ago → vor drei Tagen"):
    return ProbeMaps(
        probe,
        text,
        (
            sample_site("encoder_self", 2, heads, 6, 6, seed=seed),
            sample_site("decoder_self", 2, heads, 5, 5, seed=seed + 1, causal=True),
            sample_site("cross", 2, heads, 5, 6, seed=seed + 2, gold=True),
        ),
    )
