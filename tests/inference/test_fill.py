"""The likeliest words at the masks of a text."""

import json
from pathlib import Path

import pytest

import attncompare


def test_a_trained_model_finds_the_words_that_are_masked(cli, filler_run):
    trained = attncompare.load(filler_run.path)
    answers = trained.fill("blue blue [MASK] blue blue [MASK] blue", top=3)
    assert [likeliest[0].text for likeliest in answers] == [" blue", " blue"]
    assert [len(likeliest) for likeliest in answers] == [3, 3]
    for likeliest in answers:
        probabilities = [one.probability for one in likeliest]
        assert probabilities == sorted(probabilities, reverse=True) and 0.5 < sum(probabilities) <= 1
    code, out, err = cli("fill", filler_run.path, "green green [MASK] green", "--top", 2, "--json", "found.json")
    (found,) = json.loads(Path("found.json").read_text())["masks"]
    assert (code, err, len(out.splitlines())) == (0, "", 2)
    assert [one["token"] for one in found] == [line.split()[-1] for line in out.splitlines()]
    assert found[0]["token"] == "▁green"


def test_all_tokens_of_a_text_together_have_the_rest_of_the_probability_but_for_special_ones(filler_run):
    (likeliest,) = attncompare.load(filler_run.path).fill("red [MASK]", top=1000)
    assert len(likeliest) == len({one.token for one in likeliest})
    assert not [one for one in likeliest if one.token.startswith("<")]
    assert 0.98 < sum(one.probability for one in likeliest) <= 1 + 1e-6


def test_what_cannot_be_filled_is_refused(refused, filler_run, writer_run):
    assert "no mask" in refused("fill", filler_run.path, "red green blue")
    assert "cannot fill; use generate" in refused("fill", writer_run.path, "k01 [MASK]")
    longest = filler_run.config.task.max_length
    assert f"at most {longest}" in refused("fill", filler_run.path, "red " * longest + "[MASK]")
    assert "top=0" in refused("fill", filler_run.path, "red [MASK]", "--top", 0)
    assert "sealed" in refused("fill", filler_run.path, "red [MASK]", "--json", filler_run.path / "x.json")
    assert "use fill" in refused("generate", filler_run.path, "--prompt", "red")


@pytest.mark.parametrize("text", ["red green blue", "red [MASK] blue"])
def test_attention_maps_show_the_text_with_its_masks(filler_run, text):
    maps = attncompare.load(filler_run.path).attention(text)
    (site,) = maps.sites
    assert site.site == "encoder_self" and len(site.queries) == 3 and site.queries == site.keys
    assert ("<mask>" in site.keys) == ("[MASK]" in text)


def test_maps_of_an_encoder_alone_ask_no_ability(filler_run, monkeypatch):
    trained = attncompare.load(filler_run.path)
    monkeypatch.setattr(type(trained.task), "abilities", ())
    (site,) = trained.attention("red green").sites
    assert site.weights_LHTS.shape[2:] == (2, 2) and site.queries == site.keys
