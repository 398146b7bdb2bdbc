import base64
import json
import re
import zlib
from dataclasses import replace

import numpy as np
import pytest
from browser import needs_browser, opened, picture
from sample_maps import sample_probe, sample_site

from attncompare.maps import MapSeries, ProbeMaps, SiteMap, maps_page
from attncompare.maps.page import script_json, viewer_data, viewer_js
from attncompare.maps.pictures import ramp_color

READ_CANVAS = """canvas => {
    const { data, width, height } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    return [[...data], width, height];
}"""
EVIL = "</script><img src=x onerror=alert(1)><!--\u2028&"


def one_series(label="additive", heads=1, seed=0, steps=(100, 200)):
    return MapSeries(
        label, [(step, [sample_probe(0, heads, seed + step), sample_probe(1, heads, seed, "two")]) for step in steps]
    )


@pytest.fixture
def page_of(tmp_path):
    """Open a page of some series: gives (page, problems) as :func:`browser.opened` does."""

    def page_of(*series, title="maps", together=False, **window):
        file = tmp_path / "maps.html"
        file.write_text(maps_page(title, list(series), together=together), encoding="utf-8")
        return opened(file, **window)

    return page_of


def test_weights_survive_their_quantization():
    series = one_series(heads=3)
    site = series.steps[0][1][0].sites[2]
    data = viewer_data([series])
    first = series.steps[0][1][0].sites
    start = sum(one.weights_LHTS.size + one.rollout.size for one in first[:2])  # each with its further views
    codes = np.frombuffer(zlib.decompress(base64.b64decode(data["weights"])), np.uint8)[start:]
    codes = codes[: site.weights_LHTS.size]
    codes = codes.reshape(site.weights_LHTS.shape)
    sent = data["series"][0]["steps"][0]["probes"][0]["sites"][2]
    assert np.abs((codes / 255.0) ** 2 - site.weights_LHTS).max() < 0.004
    assert len(sent["numbers"]) == 6 and sent["sure"] == [[t, t] for t in range(5)]


def test_text_from_data_cannot_leave_its_place():
    site = SiteMap("cross", (EVIL,), (EVIL,), np.ones((1, 1, 1, 1), np.float32), title=EVIL)
    page = maps_page(EVIL, [MapSeries(EVIL, [(1, [ProbeMaps(0, EVIL, (site,))])])])
    assert "<img" not in page and page.count("</script>") == 2
    data = re.search(r'<script type="application/json" id="maps">(.*?)</script>', page, re.S).group(1)
    assert json.loads(data)["series"][0]["label"] == EVIL
    assert not set("<>&\u2028\u2029") & set(script_json([EVIL, "\u2029"]))
    assert not re.search(r"</script|<!--|https?:|innerHTML|outerHTML|insertAdjacent|document\.write", viewer_js())


@needs_browser
@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True)])
def test_the_page_works_alone_and_is_read_by_keyboard(page_of, width, dark):
    with page_of(one_series(EVIL), one_series("multihead", 4), title=EVIL, width=width, dark=dark) as (page, problems):
        page.wait_for_selector("canvas")
        assert page.locator("canvas").count() == 5  # the last layer, every head
        assert page.locator("h1").inner_text() == EVIL
        assert page.locator("img").count() == 0
        before = picture(page)
        page.locator("canvas").first.focus()  # the first query
        page.keyboard.press("ArrowDown")
        assert picture(page) != before and "▁q1 →" in page.locator(".am-row").first.inner_text()
        page.keyboard.press("Escape")
        assert picture(page) == before
        if width < 520:  # the cards stand in a strip, and stay where they were moved
            first, second = (page.locator(".am-card").nth(place).bounding_box() for place in (0, 1))
            assert first["y"] == second["y"] and first["x"] + first["width"] < second["x"] < width
            page.locator(".am-grid").evaluate("grid => { grid.scrollLeft = 200; }")
            page.get_by_label("Layer", exact=True).select_option("layer 1")
            assert page.locator(".am-grid").evaluate("grid => grid.scrollLeft") > 100
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert problems == []


@needs_browser
def test_every_control_changes_the_picture(page_of):
    with page_of(one_series("multihead", 4), one_series("scaled", 1), MapSeries("lost", [])) as (page, problems):
        page.wait_for_selector("canvas")
        assert page.get_by_text("This run has no maps.").count() == 1
        seen = [picture(page)]

        def changed():
            seen.append(picture(page))
            return seen[-1] not in seen[:-1]

        page.get_by_label("Head", exact=True).select_option("head 3")
        assert changed() and page.locator("canvas").count() == 2
        assert page.get_by_text("Has no head 3; shown is its only head.").count() == 1
        page.get_by_label("gold alignment").uncheck()
        assert changed()
        page.locator("input[type=range]").fill("0")
        assert changed() and page.get_by_text("Training step 100").count() == 1
        for label, option in (("Layer", "layer 1"), ("Site", "decoder self-attention"), ("Sentence", "two")):
            page.get_by_label(label, exact=True).select_option(option)
            assert changed()
        assert problems == []


@needs_browser
def test_the_steps_are_played_until_somebody_stops_it(page_of):
    with page_of(one_series(steps=(100, 200, 300))) as (page, problems):
        page.wait_for_selector("canvas")
        page.evaluate("""() => {
            window.seen = [];
            const slider = document.querySelector('input[type=range]');
            slider.addEventListener('input', () => seen.push([slider.value, document.querySelector('canvas').toDataURL()]));
        }""")
        page.get_by_role("button", name="Play the training steps").click()
        while page.evaluate("seen.length") < 4:
            page.wait_for_timeout(50)
        seen = page.evaluate("seen")
        assert [step for step, _ in seen[:4]] == ["0", "1", "2", "0"]  # the last step was on show
        assert len({shown for _, shown in seen[:3]}) == 3 and seen[3] == seen[0]
        page.locator("input[type=range]").fill("1")
        assert page.get_by_role("button", name="Play the training steps").count() == 1
        stopped = page.evaluate("seen.length")
        page.wait_for_timeout(1600)  # longer than a step stays
        assert page.evaluate("seen.length") == stopped and problems == []


@needs_browser
def test_maps_of_a_long_text_are_small_in_the_file_and_on_the_page(page_of, tmp_path):
    site = sample_site("decoder_self", 4, 8, 512, 512, causal=True)
    probe = ProbeMaps(0, "long", (site,))
    with page_of(MapSeries("one", [(1, [probe])])) as (page, problems):
        assert (tmp_path / "maps.html").stat().st_size < 8e6
        page.wait_for_selector("canvas")
        assert page.locator("canvas").count() == 8
        data, width, height = page.locator("canvas").first.evaluate(READ_CANVAS)
        assert width < 1200 and height < 1200
        image = np.reshape(data, (height, width, 4))[height - 2 - 2 * 512 :: 2, width - 2 - 2 * 512 :: 2][:512, :512]
        cells = np.tril_indices(512, -3)
        weights = np.round(255 * np.sqrt(site.weights_LHTS[-1, 0])) ** 2 / 255**2
        expected = np.array([ramp_color(float(weight)) for weight in weights[cells][::97]])
        assert np.abs(image[..., :3][cells][::97] - expected).max() <= 4
        assert (image[..., 3][np.triu_indices(512, 3)] == 0).mean() > 0.5  # no color: hatched
        page.locator("canvas").first.focus()
        page.keyboard.press("ArrowUp")
        assert "▁q0 →" in page.locator(".am-row").first.inner_text() and problems == []


@needs_browser
def test_none_and_very_many_maps(page_of):
    with page_of(MapSeries("lost", [])) as (page, problems):
        assert page.get_by_text("There are no attention maps.").count() == 1 and problems == []
    with page_of(*(one_series(f"v{n}", 8, steps=(1,)) for n in range(6))) as (page, problems):
        page.wait_for_selector("canvas")
        assert page.locator("canvas").count() == 6  # one head of each
        page.get_by_label("Head", exact=True).select_option("all heads")
        assert page.locator("canvas").count() == 48 and problems == []


@needs_browser
def test_pointing_at_a_cell_shows_its_weight_and_marks_the_row_everywhere(page_of):
    series = one_series("additive")
    weights = series.steps[-1][1][0].sites[2].weights_LHTS[-1, 0]
    with page_of(series, one_series("dot", seed=9)) as (page, problems):
        canvas = page.locator("canvas").first
        canvas.scroll_into_view_if_needed()
        other = picture(page, 1)
        box = canvas.bounding_box()
        cell = 26  # the largest: the sentence is short
        # The map ends 2 px before the canvas does; the last cell is query 4, key 5.
        page.mouse.move(box["x"] + box["width"] - 2 - cell / 2, box["y"] + box["height"] - 2 - cell / 2)
        name, value = page.locator(".am-tip").inner_text().split("\n")
        assert name == "▁q4 → ▁k5" and float(value) == pytest.approx(weights[4, 5], abs=0.005)
        assert picture(page, 1) != other and problems == []


@needs_browser
@pytest.mark.parametrize("dark", [False, True])
def test_every_cell_has_the_color_of_its_weight(page_of, dark):
    weights = np.linspace(0, 1, 12, dtype=np.float32).reshape(1, 1, 3, 4)
    probe = ProbeMaps(0, "text", (SiteMap("cross", tuple("abc"), tuple("wxyz"), weights),))
    with page_of(MapSeries("one", [(1, [probe])]), dark=dark) as (page, problems):
        page.wait_for_selector("canvas")
        data, width, height = page.locator("canvas").evaluate(READ_CANVAS)
        image = np.reshape(data, (height, width, 4))[..., :3]
        # A cell has 26 px, and the map ends 2 px before the canvas. On a dark page the ramp runs the other way.
        cells = image[height - 2 - 3 * 26 + 13 :: 26, width - 2 - 4 * 26 + 13 :: 26]
        expected = [[ramp_color(float(1 - w if dark else w)) for w in row] for row in weights[0, 0]]
        assert np.abs(cells - np.array(expected)).max() <= 4 and problems == []


@needs_browser
def test_the_marked_row_stands_over_the_image(page_of):
    weights = np.zeros((1, 1, 5, 5), np.float32)
    weights[0, 0, 0, 2], weights[0, 0, 4, 1] = 1, 1
    labels = (*"abcd", "[CLS]")
    probe = ProbeMaps(0, "a digit", (SiteMap("encoder_self", labels, labels, weights),), np.zeros((4, 4), np.uint8), 2)
    with page_of(MapSeries("one", [(1, [probe])])) as (page, problems):
        page.wait_for_selector("canvas.am-image")

        def colored():
            data, width, height = page.locator("canvas.am-image").evaluate(READ_CANVAS)
            image = np.reshape(data, (height, width, 4))[..., 0]
            return (image[height // 4 :: height // 2, width // 4 :: width // 2] > 100).tolist()

        assert colored() == [[False, True], [False, False]] and problems == []  # of [CLS]
        page.locator("canvas").first.focus()  # marks its first query
        assert page.locator(".am-row").inner_text().startswith("a →")
        assert colored() == [[False, False], [True, False]]  # of the first query


def full_probe(number, text, seed=0):
    """A sentence with all that the viewer can show."""
    probe = sample_probe(number, 2, seed, text)
    sites = []
    for site in probe.sites:
        norms = site.weights_LHTS * np.float32(4)
        written = tuple(f"▁w{t}" for t in range(5)) if site.site == "cross" else None
        sites.append(replace(site, norms_LHTS=norms, written=written))
    following = tuple((f"▁q{t}", (("▁next", 0.75), ("▁other", 0.25))) for t in range(5))
    return replace(probe, sites=tuple(sites), next_tokens=following)


@needs_browser
@pytest.mark.parametrize("width", [1280, 400])
def test_views_of_several_models_and_sentences(page_of, width):
    series = [
        MapSeries(name, [(seed, [full_probe(0, "one", seed), full_probe(1, "two", seed)])])
        for seed, name in enumerate("ab")
    ]
    with page_of(*series, width=width, together=True) as (page, problems):
        page.wait_for_selector("canvas")
        choose = lambda label, option: page.get_by_label(label, exact=True).select_option(option)  # noqa: E731
        assert page.locator("canvas").count() == 8 and page.locator(".am-text").all_inner_texts() == ["one", "two"]
        assert page.locator("input[type=range]").is_hidden()  # each model has its own step
        page.locator("canvas").first.focus()
        page.keyboard.press("ArrowDown")
        assert page.locator(".am-row").first.inner_text().startswith("▁w1 →")
        assert "the token being written" in page.locator(".am-legend").inner_text()
        choose("Sentence", "two")
        seen = [picture(page)]
        for label, option in (
            ("View", "value-weighted norms"),
            ("Head", "mean over heads"),
            ("Site", "decoder self-attention"),
        ):
            choose(label, option)
            seen.append(picture(page))
        choose("View", "rollout")
        assert page.locator("canvas").count() == 2 and page.get_by_label("Head", exact=True).is_disabled()
        assert "Abnar and Zuidema" in page.locator(".am-legend").inner_text()
        assert len({*seen, picture(page)}) == 5
        choose("Site", "cross-attention")
        assert page.get_by_text("No rollout: for self-attention").count() == 2
        assert page.evaluate("document.documentElement.scrollWidth") <= width and problems == []


@needs_browser
def test_a_map_of_the_grid_of_layers_and_heads_opens(page_of):
    with page_of(MapSeries("a", [(1, [full_probe(0, "one")])])) as (page, problems):
        page.wait_for_selector("canvas")
        page.get_by_label("Layer", exact=True).select_option("all layers")
        boxes = [page.locator("canvas").nth(place).bounding_box() for place in range(4)]
        assert boxes[0]["y"] == boxes[1]["y"] < boxes[2]["y"] == boxes[3]["y"] and boxes[0]["x"] == boxes[2]["x"]
        page.locator("canvas").nth(2).click()
        assert page.locator("canvas").count() == 1
        assert page.locator(".am-name").inner_text() == "layer 2 · head 1" and problems == []


@needs_browser
def test_pointing_at_cross_attention_names_the_tokens_written_and_read_and_the_next_ones(page_of):
    probe = full_probe(0, "one")
    with page_of(MapSeries("a", [(1, [probe])])) as (page, problems):
        page.locator("summary").first.click()
        canvas = page.locator("canvas").first
        canvas.scroll_into_view_if_needed()
        box = canvas.bounding_box()
        page.mouse.move(box["x"] + box["width"] - 2 - 13, box["y"] + box["height"] - 2 - 13)
        tip = page.locator(".am-tip").inner_text()
        assert "▁w4 → ▁k5" in tip and "▁q4" in tip.split("\n")[-1]
        assert page.locator(".am-next tr").count() == 5
        assert page.locator(".am-next .am-marked").inner_text().split() == ["▁q4", "▁next", "0.75", "▁other", "0.25"]
        assert problems == []
