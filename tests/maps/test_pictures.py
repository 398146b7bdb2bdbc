from io import BytesIO
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib import font_manager
from PIL import Image, ImageColor, ImageFont
from sample_maps import sample_site

from attncompare.config.variants import variant_names
from attncompare.maps import ProbeMaps, SiteMap, heatmap_png, pictures, side_by_side, variant_colors
from attncompare.maps.pictures import BLOCKED, GOLD, OVER, SERIES, ramp_color


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


def picture_of(label):
    return pixels(heatmap_png(SiteMap("cross", (label,), ("a",), np.full((1, 1, 1, 1), 0.2, np.float32)), ""))


@pytest.fixture
def fonts(monkeypatch):
    """Let the system have these fonts alone."""

    def install(*files):
        for remembered in (pictures._file_with, pictures._system_fonts, pictures._say_once):
            remembered.cache_clear()
        monkeypatch.setattr(font_manager, "findSystemFonts", lambda: list(map(str, files)))

    yield install
    for remembered in (pictures._file_with, pictures._system_fonts, pictures._say_once):
        remembered.cache_clear()


def test_a_letter_that_the_usual_font_lacks_comes_from_one_that_has_it(fonts, monkeypatch, caplog):
    usual, other = (Path(matplotlib.get_data_path()) / "fonts/ttf" / name for name in ("cmr10.ttf", "DejaVuSans.ttf"))
    monkeypatch.setattr(pictures, "_font", lambda size, **_: ImageFont.truetype(usual, size))
    fonts(other)
    runs = pictures._runs("abя", pictures._font(12))
    assert [(text, Path(font.path).name) for text, font in runs] == [("ab", "cmr10.ttf"), ("я", "DejaVuSans.ttf")]
    assert picture_of("яя").shape[1] > picture_of("я").shape[1]
    assert not np.array_equal(picture_of("я"), picture_of("ж"))
    assert not caplog.records


def test_a_letter_that_no_font_has_is_drawn_as_its_number_and_its_package_is_named_once(fonts, caplog):
    fonts()
    shown = picture_of("日")
    assert np.array_equal(shown, picture_of("U+65E5")) and not np.array_equal(shown, picture_of("U+65E6"))
    picture_of("本")
    picture_of("\U0001f9ff")
    packages = [record.getMessage().split(" package ")[1].split()[0] for record in caplog.records]
    assert packages == ["fonts-noto-cjk", "fonts-noto-color-emoji"]


@pytest.mark.parametrize(
    "letters",
    ["中文", "ひら", "한국", "हिन", "عرب", "שלמ", "ไทย", "🧿🥝"],
    ids=lambda letters: f"U+{ord(letters[0]):04X}",
)
def test_letters_of_every_script_are_drawn(letters, caplog):
    """Where no font is installed, as numbers, which differ too."""
    one, other = letters[:2]
    number = picture_of(f"U+{ord(one):04X}")
    assert not np.array_equal(picture_of(one), picture_of(other))
    assert np.array_equal(picture_of(one), number) == ("package" in caplog.text)
    assert (pixels(heatmap_png(sample_site(), letters)) != pixels(heatmap_png(sample_site(), " " * len(letters)))).any()


def test_the_sentence_the_axes_and_the_gold_boxes_are_explained():
    site = sample_site(gold=True, queries=12, keys=12)
    probe = ProbeMaps(0, "three days ago → vor drei Tagen", (site,))
    with_text, without = (pixels(heatmap_png(site, "title", one)) for one in (probe, None))
    assert with_text.shape[0] == without.shape[0] + 17  # one line
    bare = SiteMap("cross", site.queries, site.keys, site.weights_LHTS)
    legend = pixels(heatmap_png(site, "title"))[:, -78:], pixels(heatmap_png(bare, "title"))[:, -78:]
    assert near(legend[0], ImageColor.getrgb(GOLD)) > 40 and near(legend[1], ImageColor.getrgb(GOLD)) == 0
    named = SiteMap("cross", site.queries, site.keys, site.weights_LHTS, written=site.queries)
    assert (pixels(heatmap_png(named, "title")) != pixels(heatmap_png(bare, "title"))).any()  # what the rows are


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


LABELS = st.lists(st.sampled_from([*variant_names(), "dot heads=2", "dot window=16", "scaled lr=0.1"]), unique=True)


@given(LABELS, st.randoms())
def test_colors_repeat_only_after_the_last_and_do_not_depend_on_the_order(labels, random):
    colors = variant_colors(labels)
    counts = [list(colors.values()).count(color) for color in SERIES]
    assert max(counts) - min(counts) <= 1
    assert variant_colors(random.sample(labels, len(labels))) == colors


def test_the_first_five_variants_have_their_colors_whichever_of_them_are_compared():
    five = ("additive", "causal", "dot", "multihead", "scaled")
    colors = variant_colors(five)
    assert all(variant_colors([one, other])[one] == colors[one] for one in five for other in five)


def test_weights_stand_over_the_image_and_the_fullest_color_is_the_largest():
    weights = np.full((1, 1, 5, 5), 0.1, np.float32)
    weights[..., -1, :] = [0.0, 0.4, 0.2, 0.0, 0.4]
    labels = (*"abcd", "[CLS]")
    site = SiteMap("encoder_self", labels, labels, weights)
    probe = ProbeMaps(0, "", (site,), np.zeros((4, 4), np.uint8), 2)
    alone, shown = pixels(heatmap_png(site, "")), pixels(heatmap_png(site, "", probe))
    assert (shown[: len(alone), : alone.shape[1]] == alone).all()
    below = shown[len(alone) :]
    square = (112 // 4 * 2) ** 2
    full = np.array(ImageColor.getrgb(OVER)) * 190 / 255
    assert near(below, full) == square  # the second of four; the first row is not that of [CLS]
    assert near(below, full / 2) == square and near(below, (0, 0, 0)) >= 2 * square
    other = SiteMap("cross", tuple("abcde"), tuple("vwxyz"), weights)
    assert heatmap_png(other, "", probe) == heatmap_png(other, "")
