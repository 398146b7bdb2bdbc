from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from sample_maps import sample_site

from attncompare.maps import SiteMap, heatmap_png, side_by_side
from attncompare.maps.pictures import BLOCKED, ramp_color


def pixels(png):
    return np.asarray(Image.open(BytesIO(png)).convert("RGB")).astype(int)


def near(image, color, tolerance=6):
    return (np.abs(image - np.array(color)).max(-1) <= tolerance).sum()


@pytest.mark.parametrize(("layers", "heads", "tokens"), [(1, 1, 1), (2, 4, 8), (1, 11, 5)])
def test_every_head_has_the_colors_of_its_weights(layers, heads, tokens):
    site = sample_site(layers=layers, heads=heads, queries=tokens, keys=tokens)
    before = pixels(heatmap_png(site, "title"))
    for layer in range(layers):
        for head in range(heads):
            weights = site.weights_LHTS.copy()
            weights[layer, head] = 1 - weights[layer, head]
            after = pixels(heatmap_png(SiteMap(site.site, site.queries, site.keys, weights), "title"))
            assert (before != after).any()
    assert near(before, ramp_color(float(site.weights_LHTS[0, 0, 0, 0])), 1) >= 100


def test_the_scale_runs_from_zero_to_one_for_every_map():
    """No map is stretched to its own largest weight."""
    faint = SiteMap("cross", tuple("abcd"), tuple("wxyz"), np.full((1, 1, 4, 4), 0.25, np.float32))
    assert near(pixels(heatmap_png(faint, "")), ramp_color(0.25)) > 5000


def test_masked_keys_do_not_look_like_small_weights():
    causal = sample_site("decoder_self", 1, 1, 6, 6, causal=True)
    assert near(pixels(heatmap_png(causal, "")), BLOCKED) > 5000
    assert near(pixels(heatmap_png(sample_site("decoder_self", 1, 1, 6, 6), "")), BLOCKED) < 500


def test_labels_with_markup_and_odd_characters_are_drawn_as_they_are():
    odd = ("$x_{", "<b>", "\ud800", "\n", "a" * 300)
    heatmap_png(SiteMap("cross", odd, odd, np.full((1, 1, 5, 5), 0.2, np.float32)), "$\\frac{ <i> \ud800")


def test_the_same_maps_give_the_same_bytes():
    site = sample_site(layers=2, heads=2, gold=True)
    assert heatmap_png(site, "title") == heatmap_png(site, "title")


def test_models_of_different_sizes_stand_side_by_side():
    series = [("additive", sample_site(layers=2)), ("multihead", sample_site(layers=1, heads=4, queries=7))]
    one, two = (Image.open(BytesIO(side_by_side(series[:n], head=3))) for n in (1, 2))
    assert two.width > one.width
    site = series[1][1]
    changed = SiteMap("cross", site.queries, site.keys, np.flip(site.weights_LHTS, 1))
    assert side_by_side([("additive", changed)], head=3) == side_by_side([("additive", site)], head=0)
