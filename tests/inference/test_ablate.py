"""Heads turned off: each is off for good, whatever the variant; what it is worth; the page; words that are hidden."""

import json
from types import SimpleNamespace

import pytest
import torch
from browser import needs_browser, opened
from variants import distinct_attentions

import attncompare
from attncompare.attention import Attention
from attncompare.compare.statistics.family import holm_p
from attncompare.data.module import DataModule
from attncompare.inference.ablate import Ablation, Head, ablate, head_importance, heads_of, heads_off, mean_contexts
from attncompare.inference.ablate_page import ablation_page, headline
from attncompare.inference.words import hide_words, keys_hidden

D = 32


def contexts(task, site, layer, rows):
    """Return what a module gives to its output projection, (positions, H, V) over all rows."""
    (module,), seen = task.attentions[site][layer - 1 : layer], []
    module.on_heads = lambda mixed_BTHV: seen.append(mixed_BTHV.detach().flatten(0, 1)) or mixed_BTHV
    with torch.no_grad():
        for row in rows:
            task.loss(row)
    module.on_heads = None
    return torch.cat(seen)


@pytest.fixture
def trained(finished_run):
    return attncompare.load(finished_run.path)


@pytest.fixture(scope="module")
def found(finished_run):
    """The run with one head that gives nothing, ablated."""
    trained = attncompare.load(finished_run.path)
    with torch.no_grad():
        output = trained.task.attentions["cross"][0].output
        output.weight[:, : output.in_features // 2] = 0  # of the first of two heads
    return ablate(trained, sentences=30)


@pytest.mark.parametrize("cross", [False, True], ids=["self", "cross"])
@pytest.mark.parametrize("name", distinct_attentions())
def test_a_head_that_is_off_is_one_whose_slice_of_the_output_projection_is_zero(name, cross):
    torch.manual_seed(0)
    attention = Attention(D, **{"heads": 2, **distinct_attentions()[name]}).eval()
    query_BTD, memory_BSD = torch.randn(2, 7, D), torch.randn(2, 5, D) if cross else None
    task, slices = SimpleNamespace(attentions={"site": [attention]}), attention.output.in_features // attention.heads
    zero = {"site": [torch.zeros(attention.heads, attention.value_dim)]}
    with torch.no_grad():
        for head in range(attention.heads):
            with heads_off(task, [Head("site", 1, head + 1)], zero):
                off_BTD, _ = attention(query_BTD, memory_BSD)
                explicit_BTD, _ = attention(query_BTD, memory_BSD, need_weights=True)
            kept = attention.output.weight.clone()
            attention.output.weight[:, head * slices : (head + 1) * slices] = 0
            expected_BTD, _ = attention(query_BTD, memory_BSD)
            attention.output.weight.copy_(kept)
            torch.testing.assert_close(off_BTD, expected_BTD)
            torch.testing.assert_close(explicit_BTD, expected_BTD)
    assert attention.on_heads is None


def test_the_mean_is_over_all_positions_of_val_and_takes_the_place_of_a_head(trained):
    task = trained.task
    data = DataModule(trained.run.config, tokenizers=trained.tokenizers)
    rows = data.first_rows("val", 6)
    means = mean_contexts(task, rows)
    for site in task.sites:
        seen_NHV = contexts(task, site, 1, rows)
        torch.testing.assert_close(means[site][0], seen_NHV.mean(0))
    module = task.attentions["decoder_self"][0]
    x_BTD = torch.randn(1, 4, D // 2)
    with torch.no_grad(), heads_off(task, [Head("decoder_self", 1, 1), Head("decoder_self", 1, 2)], means):
        output_BTD, _ = module(x_BTD)
        expected_D = module.output(means["decoder_self"][0].flatten())
        torch.testing.assert_close(output_BTD, expected_D.expand_as(output_BTD))


def test_importance_is_the_gradient_of_the_loss_by_a_factor_on_the_head(trained):
    """Against differences of the loss, row by row."""
    task = trained.task
    rows = list(DataModule(trained.run.config, tokenizers=trained.tokenizers).first_rows("val", 3))
    found = head_importance(task, rows)
    module, step = task.attentions["cross"][0], 1e-2
    slopes = []
    for head in range(2):
        slope = 0.0
        for row in rows:
            losses = []
            for factor in (1 - step, 1 + step):
                factor_H1 = torch.ones(2, 1)
                factor_H1[head] = factor
                module.on_heads = lambda mixed_BTHV, factor_H1=factor_H1: mixed_BTHV * factor_H1
                with torch.no_grad():
                    losses.append(task.loss(row).item())
            slope += abs(losses[1] - losses[0]) / (2 * step)
        slopes.append(slope)
    module.on_heads = None
    norm = sum(slope**2 for slope in slopes) ** 0.5
    for head, slope in enumerate(slopes, 1):
        assert found["cross", 1, head] == pytest.approx(slope / norm, rel=0.05, abs=0.02)


def test_a_head_that_gives_nothing_costs_nothing(found):
    (dead,) = (one for one in found.heads if (one.site, one.head) == ("cross", 1))
    assert (dead.loss, dead.p, dead.importance) == (0.0, 1.0, 0.0)
    assert dead.metrics == found.metrics and dead.interval == (0.0, 0.0)
    (order,) = (one.heads for one in found.curves if (one.site, one.order) == ("cross", "gradient"))
    assert order == ((1, 1), (1, 2))


def test_heads_are_ranked_by_loss_and_p_is_corrected_for_all_of_them(found):
    losses = [one.loss for one in found.heads]
    assert losses == sorted(losses, reverse=True) and len(losses) == 6
    assert [one.p_holm for one in found.heads] == holm_p([one.p for one in found.heads])
    for one in found.heads:
        assert one.loss == pytest.approx(found.metrics[found.metric] - one.metrics[found.metric])


def test_curves_begin_with_all_heads_and_agree_where_all_are_off(found):
    for site in found.titles:
        greedy, gradient = (one for one in found.curves if one.site == site)
        assert greedy.pruned == gradient.pruned == (0, 1, 2) and set(greedy.heads) == set(gradient.heads)
        assert greedy.values[0] == gradient.values[0] == found.metrics[found.metric]
        assert greedy.values[-1] == gradient.values[-1]
        alone = {(one.layer, one.head): one.metrics for one in found.heads if one.site == site}
        assert greedy.values[1] == alone[greedy.heads[0]][found.metric]


def test_the_json_says_all_of_it(found):
    assert Ablation.from_dict(json.loads(json.dumps(found.to_dict()))) == found


def test_a_text_of_windows_has_heads_too(windows_run):
    trained = attncompare.load(windows_run.path)
    found = ablate(trained, replacement="mean", split="val", sentences=3)
    assert [one.site for one in found.heads] == [one.site for one in heads_of(trained.task)]
    assert found.metric == "bits_per_byte" and found.heads[0].p is None, "a single document is no sample"
    assert "too few items" in headline(found) and found.rows == 3


@needs_browser
@pytest.mark.parametrize("width", [1280, 400])
def test_the_page_draws_its_curves_and_asks_nobody(found, tmp_path, width):
    file = tmp_path / "ablate.html"
    file.write_text(ablation_page(found, "<b>multihead</b>"))
    with opened(file, width=width) as (page, problems):
        assert page.locator(".chart svg path.line").count() == 6
        assert page.locator(".rank tbody tr").count() == 6
        assert page.locator("h1 + p b").count() == 0
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert problems == []


def test_the_command_writes_page_and_json(cli, finished_run, tmp_path):
    page, file = tmp_path / "ablate.html", tmp_path / "ablate.json"
    code, out, _ = cli("ablate", finished_run.path, "--sentences", 20, "--html", page, "--json", file)
    found = Ablation.from_dict(json.loads(file.read_text()))
    assert code == 0 and headline(found) in out and found.split == "test"
    assert "cross-attention, layer 1, head 2" in page.read_text()


def test_nothing_of_a_hidden_word_reaches_what_is_written(trained):
    """Another token in its place changes no logit."""
    task = trained.task
    source, target = [5, 6, 7, 8, 3], [2, 8, 7, 6, 3]
    outputs = []
    handle = task.model.register_forward_hook(lambda *call: outputs.append(call[2].logits_BTV))
    with keys_hidden(task, ["encoder_self", "cross"], torch.tensor([True, False, True, True, True])):
        task.probe_weights(source, target)
        task.probe_weights([5, 9, 7, 8, 3], target)
        task.probe_weights([9, 6, 7, 8, 3], target)
    task.probe_weights(source, target)
    handle.remove()
    torch.testing.assert_close(outputs[1], outputs[0])
    assert not torch.allclose(outputs[2], outputs[0]) and not torch.allclose(outputs[3], outputs[0])


def test_hidden_words_of_a_translation_and_of_a_text(trained, writer_run):
    found = hide_words(trained, "abc", "abc")
    assert found.written == trained.translate(["abc"])[0].text and len(found.hidden) == 3
    assert found.loss[0] != found.loss[1]
    writer = attncompare.load(writer_run.path)
    found = hide_words(writer, "k01 v02 k01", "v02")
    assert found.written is None and found.hidden == ("▁v02",)
    changed = [abs(one.before - one.after) > 1e-6 for one in found.predictions]
    assert changed == [False, False, True, True], "what stands before a word cannot see it"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--mask", "abc"), "--sentence"),
        (("--mask", "xyz", "--sentence", "abc"), "mask=xyz"),
        (("--mask", " ", "--sentence", "abc"), "mask"),
        (("--sentences", 0), "sentences=0"),
        (("--with", "noise"), "'noise'"),
        (("--html", "nowhere/page.html"), "nowhere"),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, tuple) else "",
)
def test_what_cannot_be_ablated(refused, finished_run, arguments, words):
    assert words in refused("ablate", finished_run.path, *arguments)
