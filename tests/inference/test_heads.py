"""Scores of heads that do one thing alone, and of a run's own heads."""

import json
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest
import torch

import attncompare
from attncompare.data.kinds import Probe
from attncompare.data.tokenizer import BOS, EOS
from attncompare.inference.heads import DETECTORS, find_heads, repeated_tokens, score_heads
from attncompare.model import Site

TOKENS = [BOS, 5, 6, 7, 8, 5, 6, 7, 8, EOS]
READ = TOKENS[:-1]
LINKS = np.eye(len(READ), 5, k=-1, dtype=bool)


def looks_at(key_of, keys=9):
    """Return the weights (T, S) of a head that looks from query t at the key ``key_of(t)`` alone."""
    return np.eye(keys)[[key_of(t) for t in range(len(READ))]]


IDEAL = {
    "previous_token": looks_at(lambda t: max(0, t - 1)),
    "duplicate_token": looks_at(lambda t: t - 4 if t >= 5 else t),
    "induction": looks_at(lambda t: t - 3 if t >= 5 else 0),
    "first_token": looks_at(lambda t: t * 0),
    "positional": looks_at(lambda t: max(0, t - 2)),
}


class Toy(torch.nn.Module):
    """Its heads are given weights."""

    sites: ClassVar = {
        "decoder_self": Site("self-attention", queries="target", keys="target"),
        "cross": Site("cross-attention", queries="target", keys="source"),
    }
    tokenizer = source_tokenizer = SimpleNamespace(
        labels=lambda ids: [f"word{i}" for i in ids], decode=str, vocab_size=50
    )
    config = SimpleNamespace(task=SimpleNamespace(max_length=len(TOKENS)))

    def __init__(self, weights, cross=None):
        super().__init__()
        self.weights = {"decoder_self": weights, "cross": [np.eye(9, 5) if cross is None else cross]}

    def probe_weights(self, source_ids, target_ids):  # noqa: ARG002
        return {name: torch.tensor(np.array([heads]), dtype=torch.float32) for name, heads in self.weights.items()}


PROBE = Probe([10, 11, 12, 13, EOS], TOKENS, LINKS, LINKS)


def scored(*weights, **options):
    toy = Toy(weights, **options)
    return score_heads(toy, [PROBE], [PROBE])


@pytest.mark.parametrize("kind", IDEAL)
def test_a_head_that_does_one_thing_alone_has_the_score_one_in_it(kind):
    (head, _) = scored(IDEAL[kind])
    assert head.scores[kind] == pytest.approx(1)
    others = set(IDEAL) - {kind, "positional"}
    assert all(head.scores[other] < 0.6 for other in others), head.scores


def test_the_distance_of_a_positional_head_is_told():
    assert scored(IDEAL["positional"])[0].offset == -2
    assert scored(IDEAL["previous_token"])[0].offset == -1


def test_an_even_head_has_the_share_of_the_keys_that_a_kind_looks_at():
    even_TS = np.tril(np.ones((len(READ), len(READ))))
    even_TS /= even_TS.sum(1, keepdims=True)
    (head, _) = scored(even_TS)
    shares = [1 / (t + 1) for t in range(1, len(READ))]
    assert head.scores["previous_token"] == head.scores["first_token"] == pytest.approx(np.mean(shares))
    assert head.scores["duplicate_token"] == pytest.approx(np.mean(shares[4:]))


def test_weights_of_any_sign_and_sum_give_shares():
    (head, _) = scored(-3 * IDEAL["first_token"])
    assert head.scores["first_token"] == pytest.approx(1)


def test_alignment_is_the_share_of_aligned_queries_that_look_at_their_links():
    aligned = looks_at(lambda t: min(max(t - 1, 0), 4), 5)
    wrong = looks_at(lambda t: t - 1 if t in (1, 2) else 0, 5)  # of five aligned queries, two
    assert scored(IDEAL["first_token"], cross=aligned)[1].scores["alignment"] == pytest.approx(1)
    cross = scored(IDEAL["first_token"], cross=wrong)[1]
    assert cross.scores["alignment"] == pytest.approx(2 / 5)
    assert cross.scores["previous_token"] is None and cross.offset is None


def test_heads_that_a_layer_lacks_are_left_out():
    found = scored(IDEAL["first_token"], np.zeros((len(READ), len(READ))))
    assert [(one.site, one.head) for one in found] == [("decoder_self", 1), ("cross", 1)]


def test_random_tokens_are_repeated_once_and_fit_the_model():
    (probe,) = map(repeated_tokens(Toy([])), [PROBE])
    assert probe.source_ids == PROBE.source_ids, "nothing attends from the source to itself"
    drawn = probe.target_ids[1:-1]
    assert (probe.target_ids[0], probe.target_ids[-1]) == (BOS, EOS) and len(probe.target_ids) <= len(TOKENS)
    assert drawn[:4] == drawn[4:] and len(set(drawn)) == 4 and probe.sure_TS is None


def test_the_command_scores_every_head_of_a_run(cli, finished_run, tmp_path):
    file = tmp_path / "heads.json"
    code, out, _ = cli("heads", finished_run.path, "--sentences", 5, "--json", file)
    found = json.loads(file.read_text())
    assert code == 0 and len(found["heads"]) == 6
    assert set(found["definitions"]) == set(DETECTORS)
    for one in found["heads"]:
        assert one["site"] in out
        assert all(score is None or 0 <= score <= 1 for score in one["scores"].values())
    task = attncompare.load(finished_run.path)
    assert [one.scores for one in find_heads(task, 5)] == [one["scores"] for one in found["heads"]]


def test_a_number_of_sentences_that_cannot_be(refused, finished_run):
    assert "sentences=0" in refused("heads", finished_run.path, "--sentences", 0)
    assert "--json" in refused("heads", finished_run.path, "--json", finished_run.path / "heads.json")
