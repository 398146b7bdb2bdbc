"""The forms of attention that are compared are the same function; what the command says of them is whole."""

import json

import pytest
import torch
from commands import attncompare
from variants import VARIANTS

from attncompare.bench.attention_errors import error_over_eager
from attncompare.bench.attention_forms import bytes_needed, function_of, inputs, scorer_of
from attncompare.bench.attention_modules import NAMES, module_of
from attncompare.bench.attention_wish import PRESETS, variant_names, variant_of, wish
from attncompare.errors import Refused

SIZES = {"batch": 2, "heads": 3, "length": 9, "head_dim": 5}


def test_every_variant_is_there():
    assert variant_names() == VARIANTS
    functions = {(one.score, one.causal) for one in wish(None, False).variants}
    assert functions == {(variant_of(name).score, variant_of(name).causal) for name in VARIANTS}
    assert len(wish(None, False).variants) == len(functions)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("form", ["ours", "sdpa"])
def test_all_forms_are_the_formula(variant, form):
    found = variant_of(variant)
    if form == "sdpa" and found.score not in ("dot", "scaled"):
        pytest.skip("torch has no such score")
    q, k, values, _ = inputs(**SIZES, dtype="float32", device="cpu")
    scorer = scorer_of(found.score, q)
    forms = [function_of(one, scorer, found.score, found.causal)(q, k, values) for one in ("eager", form)]
    torch.testing.assert_close(*forms)


@pytest.mark.parametrize("variant", VARIANTS)
def test_errors_are_measured_beside_those_of_the_formula(variant):
    found = variant_of(variant)
    arguments = {"device": "cpu", "dtype": "float32", **SIZES}
    assert error_over_eager("eager", found.score, found.causal, **arguments) == 1
    assert 0 < error_over_eager("ours", found.score, found.causal, **arguments) < 4


def test_all_modules_are_the_same_function_of_the_same_weights():
    x = torch.randn(2, 7, 12)
    made = {form: module_of(form, 3, 4) for form in NAMES}
    outputs = {form: call(x) for form, (_, call) in made.items()}
    for output in outputs.values():
        torch.testing.assert_close(output, outputs["by_hand"])
    sizes = {sum(one.numel() for one in module.parameters()) for module, _ in made.values()}
    assert len(sizes) == 1


def test_the_bytes_that_a_formula_needs_grow_with_all_that_it_holds():
    sizes = {"batch": 1, "heads": 4, "length": 4096, "head_dim": 32, "dtype": "float32"}
    assert bytes_needed("eager", "additive", True, **sizes) == 3 * 4 * 4096 * 4096 * 32 * 4
    assert bytes_needed("eager", "scaled", True, **sizes) == 3 * 4 * 4096 * 4096 * 4
    assert bytes_needed("ours", "additive", True, **sizes) == 0


def test_presets_give_way_to_what_is_said():
    assert wish("memory", False).head_dim == 64
    assert wish("memory", False, head_dim=8, lengths=(5,)).lengths == (5,)
    assert wish("memory", False, head_dim=8).heads == 1
    assert all(wish(name, False) for name in PRESETS)


@pytest.mark.parametrize(
    "given",
    [{"attention": ("adative",)}, {"peers": ("sdp",)}, {"parts": ("module",)}],
    ids=lambda given: next(iter(given)),
)
def test_wrong_names_are_refused_with_the_valid_ones(given):
    with pytest.raises(Refused, match=r"^--\w+: unknown .* \(did you mean \w+\?\); valid: "):
        wish(None, False, **given)


def test_the_command_prints_and_writes_all_that_it_found(tmp_path):
    shape = ("--lengths", 16, "--heads", 2, "--head-dim", 4, "--attention", "additive", "--peers", "eager")
    files = ("--json", tmp_path / "found.json", "--plot", tmp_path / "found.html")
    done = attncompare("bench", "attention", "--quick", "--threads", 1, "--markdown", *shape, *files, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "additive: 16 queries and keys" in done.stderr
    assert "--lengths 16 --batch 1 --heads 2 --head-dim 4 --dtype float32 --threads 1 --quick" in done.stdout
    data = json.loads((tmp_path / "found.json").read_text())
    functions, modules = data["tables"]
    assert [row["label"] for row in functions["rows"]] == [["16", "attncompare"], ["16", "eager formula"]]
    assert [row["label"] for row in modules["rows"]] == [["16", name] for name in NAMES.values()]
    for row in (*functions["rows"], *modules["rows"]):
        assert row["values"]["forward"]["count"] == row["values"]["training"]["count"] == 2
        assert row["values"]["bytes"] >= 0
        assert f"| {row['label'][0]} | {row['label'][1]} | " in done.stdout
    assert data["machine"]["threads"] == 1
    assert (tmp_path / "found.html").read_text().count("data-picture=") == 4


def test_what_cannot_be_written_is_refused_before_anything_is_measured(tmp_path):
    done = attncompare("bench", "attention", "--json", tmp_path / "no" / "x.json", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.strip() == f"error: --json {tmp_path / 'no' / 'x.json'}: there is no folder {tmp_path / 'no'}"


def test_a_device_that_is_not_there_is_refused(tmp_path):
    if torch.cuda.is_available():
        pytest.skip("CUDA is here")
    done = attncompare("bench", "attention", "--device", "cuda", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.strip() == "error: --device cuda: torch finds no CUDA device here; valid: cpu"
