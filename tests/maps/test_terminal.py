import re
from io import StringIO

import numpy as np
import pytest
from rich.cells import cell_len
from rich.console import Console
from sample_maps import sample_probe

from attncompare.errors import Refused
from attncompare.maps import ProbeMaps, SiteMap, print_maps


def printed(probe, width=100, layer=None, head=None, whole=False, mean=False, **console):
    console = Console(file=StringIO(), width=width, **console)
    print_maps(console, probe, layer, head, whole, mean)
    return console.file.getvalue()


def test_weights_can_be_read_without_color():
    weights = np.array([[[[1.0, 0.0], [0.25, 0.75]]]], np.float32)
    text = printed(ProbeMaps(0, "a b", (SiteMap("decoder_self", ("a", "b"), ("a", "b"), weights),)))
    rows = [line for line in text.splitlines() if line.startswith(("a ", "b "))]
    assert rows[-2].split() == ["a", "9"] and rows[-1].split() == ["b", "2", "7"]
    assert "\x1b" not in text


def test_all_heads_of_the_last_layer_or_the_chosen_one():
    probe = sample_probe(heads=3)
    text = printed(probe)
    assert all(f"head {head}" in text for head in (1, 2, 3)) and "layer 2 of 2" in text
    text = printed(probe, layer=1, head=2)
    assert "head 2" in text and "head 1" not in text and "layer 1 of 2" in text


@pytest.mark.parametrize(("choice", "message"), [({"layer": 3}, "layer=3.*1 to 2"), ({"head": 0}, "head=0.*1 to 3")])
def test_a_layer_or_head_that_is_not_there_is_refused(choice, message):
    with pytest.raises(Refused, match=message):
        printed(sample_probe(heads=3), **choice)


@pytest.mark.parametrize("width", [24, 80])
def test_long_sentences_stay_inside_the_console(width):
    labels = tuple(f"▁{'wörter日本'[: i % 8]}\n{i}" for i in range(50))
    weights = np.full((1, 1, 50, 50), 0.02, np.float32)
    text = printed(ProbeMaps(0, "long", (SiteMap("encoder_self", labels, labels, weights),)), width=width)
    assert max(map(cell_len, text.splitlines())) <= width
    assert text.count("·") == 50 * 50


def spike(site, T, S, at, causal):
    """A map whose weights are spread evenly but at one cell."""
    weights = np.tril(np.ones((T, S))) if causal else np.ones((T, S))
    weights /= weights.sum(-1, keepdims=True)
    weights[at] = 0.5
    labels = [tuple(f"{side}{place}" for place in range(size)) for side, size in (("t", T), ("s", S))]
    axes = (labels[0], labels[0]) if causal else labels
    return SiteMap(site, *axes, weights[None, None].astype(np.float32))


@pytest.mark.parametrize(
    ("T", "S", "at", "causal"),
    [(500, 500, (300, 250), True), (500, 500, (499, 0), True), (70, 20, (65, 3), False), (20, 300, (0, 299), False)],
)
def test_of_a_long_map_the_part_around_its_largest_weight_is_shown_or_all_of_it(T, S, at, causal):
    site = spike("decoder_self" if causal else "cross", T, S, at, causal)
    text = printed(ProbeMaps(0, "long", (site,)), width=200)
    rows = [line for line in text.splitlines() if line.startswith("t") or line.lstrip().startswith("t")]
    rows = [line for line in rows if line.split()[0] in site.queries]
    assert len(rows) == min(T, 60)
    (row,) = [line for line in rows if line.split()[0] == f"t{at[0]}"]
    assert " 5" in row  # the spike is there, and at its key
    first = int(re.search(r"keys (\d+) to", text)[1]) - 1
    gutter = max(len(line.split()[0]) for line in rows) + 1
    assert row[gutter + 2 * (at[1] - first) : gutter + 2 * (at[1] - first) + 2] == " 5"
    assert f"{T} queries and {S} keys" in text and "--all" in text
    if causal:  # what is blocked stays blank in a part, too
        for line in rows:
            t = int(line.split()[0][1:])
            assert len(line[gutter:].rstrip()) == 2 * min(60, max(0, t - first + 1))
    whole = printed(ProbeMaps(0, "long", (site,)), width=2 * S + 20, whole=True)
    assert sum(line.split()[:1] == [f"t{t}"] for t in range(T) for line in whole.splitlines()) == T
    assert "--all" not in whole


def test_color_shows_the_weight_where_the_terminal_has_color():
    assert "\x1b[" in printed(sample_probe(), force_terminal=True, color_system="truecolor")


def test_labels_of_keys_are_short_and_hold_no_line_breaks():
    weights = np.full((1, 1, 1, 2), 0.5, np.float32)
    text = printed(ProbeMaps(0, "", (SiteMap("cross", ("q",), ("a\nb", "x" * 40), weights),)))
    lines = text.splitlines()
    heading = lines[lines.index(next(line for line in lines if line.startswith("head 1"))) + 1 :]
    heading = heading[: next(i for i, line in enumerate(heading) if line.startswith("q"))]
    assert len(heading) == 12 and heading[-1].split() == ["b", "…"]


def test_several_models_stand_side_by_side_in_80_columns():
    one, other = sample_probe(heads=2), sample_probe(heads=1, seed=4, text="three days ago → vor drei Jahren")
    text = printed([("additive", one), ("a variant with a long label " * 5, other)], width=80)
    assert max(map(cell_len, text.splitlines())) <= 80
    assert text.count("additive") == 1 + 6 and "additive: three days ago → vor drei Tagen" in text
    assert text.count("head 1") == 6 and text.count("head 2") == 3
    narrow = printed([("one", sample_probe()), ("two", sample_probe(seed=4))], width=80)
    assert any(line.split() == ["one", "two"] for line in narrow.splitlines())


def test_the_mean_over_heads():
    weights = np.array([[[[1.0, 0.0]], [[0.5, 0.5]]]], np.float32)
    site = SiteMap("cross", ("<s>",), ("a", "b"), weights, written=("x",))
    text = printed(ProbeMaps(0, "", (site,)), mean=True)
    (row,) = [line for line in text.splitlines() if line.startswith("x ")]  # the token being written
    assert row.split() == ["x", "7", "2"] and "mean of 2 heads" in text and "head 1" not in text
