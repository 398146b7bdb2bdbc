import json
from dataclasses import replace

import numpy as np
import pytest
from sample_maps import sample_probe, sample_site

from attncompare.errors import Refused
from attncompare.maps import MapSeries, ProbeMaps, SiteMap, alignment_error_rate, head_numbers, load_maps, save_maps
from attncompare.maps.page import viewer_data


def site_of(weights_TS, site="decoder_self", sure=None, possible=None):
    weights = np.asarray(weights_TS, np.float32)[None, None]
    T, S = weights.shape[2:]
    return SiteMap(site, tuple("q" * T), tuple("k" * S), weights, sure, possible)


def test_uniform_weights_have_the_entropy_of_their_number():
    for keys in (1, 2, 7):
        (numbers,) = head_numbers(site_of(np.full((3, keys), 1 / keys), "cross"))
        assert numbers.entropy == pytest.approx(np.log(keys), abs=1e-6)
        assert numbers.largest == pytest.approx(1 / keys)


def test_the_distance_of_one_hot_weights_is_their_shift_from_the_diagonal_whatever_the_lengths():
    (own,) = head_numbers(site_of(np.eye(6)))
    assert (own.entropy, own.distance, own.largest) == (0, 0, 1)
    for rows, shift in (([0, 0, 1, 2, 3, 4], 5 / 6), ([0, 3, 5], 1 / 6), ([5, 3, 0], 10.5 / 3)):
        (numbers,) = head_numbers(site_of(np.eye(6)[rows], "cross"))
        assert numbers.distance == pytest.approx(shift)


def test_a_query_that_attends_to_nothing_does_not_count():
    weights = np.array([[0.5, 0.5], [0, 0]])
    (numbers,) = head_numbers(site_of(weights))
    assert numbers.entropy == pytest.approx(np.log(2)) and numbers.largest == 0.5
    (numbers,) = head_numbers(site_of(np.zeros((2, 2))))
    assert (numbers.entropy, numbers.distance, numbers.largest) == (0, 0, 0)


def test_every_layer_and_head_has_numbers_counted_from_one():
    site = sample_site(layers=2, heads=3)
    numbers = head_numbers(site)
    assert [(n.layer, n.head) for n in numbers] == [(layer, head) for layer in (1, 2) for head in (1, 2, 3)]
    assert numbers[4].largest == pytest.approx(site.weights_LHTS[1, 1].max(-1).mean(), rel=1e-5)


def test_alignment_error_rate_is_zero_for_the_gold_one_for_its_opposite_and_none_without():
    sure = np.eye(4, dtype=bool)
    assert alignment_error_rate(np.eye(4), sure, sure) == 0
    assert alignment_error_rate(np.eye(4)[::-1], sure, sure) == 1
    assert alignment_error_rate(np.eye(4), None, None) is None
    assert alignment_error_rate(np.eye(4), np.zeros((4, 4), bool), np.zeros((4, 4), bool)) is None


def test_alignment_error_rate_by_hand():
    # Queries 0 and 1 are sure of keys 0 and 1, query 2 may take 1 or 2, query 3 has no gold and is not asked.
    sure = np.zeros((4, 3), bool)
    sure[0, 0] = sure[1, 1] = True
    possible = sure.copy()
    possible[2, 1:] = True
    weights = np.eye(3)[[0, 2, 1, 0]]
    # A = {00, 12, 21}, |A & S| = 1, |A & P| = 2, |A| = 3, |S| = 2
    assert alignment_error_rate(weights, sure, possible) == pytest.approx(1 - 3 / 5)


def test_causal_is_seen_in_the_weights():
    assert sample_site("decoder_self", queries=5, keys=5, causal=True).causal
    assert not sample_site("encoder_self", queries=5, keys=5).causal
    assert not site_of(np.eye(3), "cross").causal  # queries and keys are different tokens


def test_maps_come_back_from_their_file(tmp_path):
    probes = [sample_probe(0, heads=3), sample_probe(4, text='"ü" \u2028 </script> \ud800 日本')]
    save_maps(tmp_path / "step-7.npz", 7, probes)
    step, loaded = load_maps(tmp_path / "step-7.npz")
    assert step == 7 and [file.name for file in tmp_path.iterdir()] == ["step-7.npz"]
    for before, after in zip(probes, loaded, strict=True):
        assert (before.probe, before.text) == (after.probe, after.text)
        for one, other in zip(before.sites, after.sites, strict=True):
            known = ("site", "title", "queries", "keys", "causal")
            assert [getattr(one, name) for name in known] == [getattr(other, name) for name in known]
            np.testing.assert_allclose(one.weights_LHTS, other.weights_LHTS, atol=3e-4)
            for gold in ("sure_TS", "possible_TS"):
                assert (getattr(one, gold) is None) == (getattr(other, gold) is None)
                assert getattr(one, gold) is None or (getattr(one, gold) == getattr(other, gold)).all()


@pytest.mark.parametrize("damage", ["cut", "empty", "gone", "flipped", "header", "pickle"])
def test_a_damaged_file_is_refused_in_one_line(tmp_path, damage):
    file = tmp_path / "step-1.npz"
    save_maps(file, 1, [sample_probe()])
    content = file.read_bytes()
    middle = content.index(b"weights.npy") + 60
    header = json.dumps({"format": 2, "step": 1, "probes": [{}]}).encode()
    match damage:
        case "cut" | "empty":
            file.write_bytes(content[: len(content) // 2 * (damage == "cut")])
        case "flipped":
            file.write_bytes(content[:middle] + bytes(40) + content[middle + 40 :])
        case "header":
            np.savez(file, header=np.frombuffer(header, np.uint8))
        case "pickle":
            np.savez(file, header=np.array([{"format": 1}], dtype=object))
        case "gone":
            file.unlink()
    with pytest.raises(Refused, match=r"step-1\.npz: ") as refusal:
        load_maps(file)
    assert "\n" not in str(refusal.value)


def test_a_map_whose_labels_do_not_fit_its_weights_cannot_be_made():
    with pytest.raises(ValueError, match="labels say"):
        SiteMap("cross", ("a",), ("b", "c"), np.ones((1, 1, 2, 2), np.float32))
    with pytest.raises(ValueError, match=r"'\.\./x'"):
        SiteMap("../x", ("a",), ("b",), np.ones((1, 1, 1, 1), np.float32))  # it is part of file names


def test_an_image_comes_back_from_its_file_and_damaged_ones_are_refused(tmp_path):
    site = sample_site("encoder_self", 1, 1, 5, 5)
    image = np.arange(16, dtype=np.uint8).reshape(4, 4)
    probes = [ProbeMaps(0, "a", (site,), image, 2), ProbeMaps(1, "b", (site,))]
    save_maps(tmp_path / "step-1.npz", 1, probes)
    _, (first, second) = load_maps(tmp_path / "step-1.npz")
    assert first.image_HW.tolist() == image.tolist() and first.patch == 2 and second.image_HW is None
    assert (first.squares(first.sites[0]), second.squares(second.sites[0])) == (4, 0)
    for wrong, patch in ((image, 3), (image, 0), (image[0], 1), (image[:0], 1)):
        with pytest.raises(ValueError, match="no squares"):
            ProbeMaps(0, "", (site,), wrong, patch)


def test_a_drawing_of_sound_survives_its_file_and_reaches_the_page(tmp_path):
    wave = np.linspace(-1, 1, 12).reshape(6, 2)
    site = SiteMap("cross", ("a",), ("0.0", "0.1"), np.full((1, 1, 1, 2), 0.5, np.float32), wave=wave)
    save_maps(tmp_path / "step-1.npz", 1, [ProbeMaps(0, "a.wav", (site,))])
    _, (probe,) = load_maps(tmp_path / "step-1.npz")
    np.testing.assert_allclose(probe.sites[0].wave, wave, atol=1e-3)
    (sent,) = viewer_data([MapSeries("x", [(1, [probe])])])["series"][0]["steps"][0]["probes"][0]["sites"]
    np.testing.assert_allclose(sent["wave"], wave, atol=1e-3)
    with pytest.raises(ValueError, match="parts, 2"):
        replace(site, wave=wave.ravel())


def test_rollout_is_the_product_of_layers_that_keep_half_of_themselves():
    weights = np.zeros((2, 2, 2, 2), np.float32)
    weights[0] = [[[1, 0], [1, 0]], [[1, 0], [0, 1]]]  # the mean over heads: [[1, 0], [.5, .5]]
    weights[1] = [[0, 1], [0, 1]]
    site = SiteMap("encoder_self", ("a", "b"), ("a", "b"), weights)
    # 0.5 W + 0.5 I is [[1, 0], [.25, .75]], then [[.5, .5], [0, 1]]; the later layer stands at the left
    assert np.allclose(site.rollout, [[[1, 0], [0.25, 0.75]], [[0.625, 0.375], [0.25, 0.75]]])


def test_rollout_keeps_what_attends_to_nothing_and_is_there_for_self_attention_alone():
    labels, weights = ("a", "b"), np.zeros((1, 1, 2, 2), np.float32)
    assert np.array_equal(SiteMap("encoder_self", labels, labels, weights).rollout[0], np.eye(2))
    assert SiteMap("cross", labels, labels, weights, written=("b", "c")).rollout is None
    assert SiteMap("encoder_self", labels, labels, weights - 0.1).rollout is None  # of differential attention
    rollout = sample_site("encoder_self", 3, 2, 5, 5).rollout
    assert np.allclose(rollout.sum(-1), 1) and rollout.shape == (3, 5, 5)


def test_the_tokens_that_rows_write_survive_a_file(tmp_path):
    site = replace(sample_site(), written=tuple("vwxyz"))
    save_maps(tmp_path / "maps.npz", 1, [ProbeMaps(0, "text", (site,))])
    (probe,) = load_maps(tmp_path / "maps.npz")[1]
    assert probe.sites[0].rows == tuple("vwxyz") and probe.sites[0].queries == site.queries
