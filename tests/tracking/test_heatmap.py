from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from sample_maps import sample_site

from attncompare.maps.heatmap import heatmap_png
from attncompare.maps.maps import SiteMap
from attncompare.maps.palette import ramp_color


def pixels(png):
    return np.asarray(Image.open(BytesIO(png)).convert("RGB")).astype(int)


def near(image, color, tolerance=6):
    return (np.abs(image - np.array(color)).max(-1) <= tolerance).sum()


@pytest.mark.parametrize(("layers", "heads", "tokens"), [(1, 1, 1), (1, 1, 8), (2, 4, 8), (1, 11, 5)])
def test_pictures_of_every_size(layers, heads, tokens):
    image = pixels(heatmap_png(sample_site(layers=layers, heads=heads, queries=tokens, keys=tokens), "title"))
    assert image.shape[0] > 100 and image.shape[1] > 300


def test_every_head_is_drawn():
    site = sample_site(layers=2, heads=3)
    before = pixels(heatmap_png(site, "title"))
    for layer in range(2):
        for head in range(3):
            weights = site.weights_LHTS.copy()
            weights[layer, head] = 1 - weights[layer, head]
            after = pixels(heatmap_png(SiteMap(site.site, site.queries, site.keys, weights), "title"))
            assert (before != after).any()


def test_the_scale_runs_from_zero_to_one_for_every_map():
    """A faint map looks faint: no map is stretched to its own largest weight."""
    faint = SiteMap("cross", tuple("abcd"), tuple("abcd"), np.full((1, 1, 4, 4), 0.25, np.float32))
    image = pixels(heatmap_png(faint, ""))
    assert near(image, ramp_color(0.25)) > 5000


def test_blocked_keys_do_not_look_like_small_weights():
    causal = sample_site("decoder_self", 1, 1, 6, 6, causal=True)
    gray = (204, 209, 217)
    assert near(pixels(heatmap_png(causal, "")), gray) > 5000
    assert near(pixels(heatmap_png(sample_site("decoder_self", 1, 1, 6, 6), "")), gray) < 500


def test_labels_with_markup_formulas_and_odd_characters_are_drawn_as_they_are():
    odd = ("$x_{", "<b>", "\ud800", "\n", "a" * 300)
    heatmap_png(SiteMap("cross", odd, odd, np.full((1, 1, 5, 5), 0.2, np.float32)), "$\\frac{ <i> \ud800")
