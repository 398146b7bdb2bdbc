"""What clearly cannot work on this machine is refused before anything is built, and nothing else is."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from commands import SMOKE

from attncompare.training import demands
from attncompare.attention.scores import additive, dot
from attncompare.data.dataset import TokenizerConfig
from attncompare.data.encoding import encode_stream
from attncompare.data.module import DataModule
from attncompare.data.sets import StreamSet
from attncompare.data.cache import in_memory
from attncompare.data.tokenizer import Tokenizer
from attncompare.training.demands import NOTHING_SEEN, Seen, decisive, model_bytes, require_feasible, sizes
from attncompare.errors import Refused
from attncompare.model.cost import Lengths
from attncompare.tasks import build_task

MACHINE = 24 * 10**9
REVERSE = ("data=reverse", "data.symbols=2", "data.min_symbols=1")


@pytest.fixture(autouse=True)
def machine(monkeypatch):
    """A laptop, whatever the tests run on."""
    monkeypatch.setattr(demands, "total_memory", lambda: MACHINE)
    monkeypatch.setattr(demands, "_on_gpu", lambda _: False)


def refusal(config, seen=NOTHING_SEEN):
    with pytest.raises(Refused) as refused:
        require_feasible(config, seen)
    assert "\n" not in str(refused.value)
    return str(refused.value)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["backbone.d_model=1000000000"], "moments, and this machine has 24.0 GB; lower backbone.d_model"),
        (["backbone.d_ff=100000000000"], "backbone.d_ff=100000000000: this run needs about 82"),
        (
            ["backbone.layers=100000"],
            "backbone.layers=100000: this run needs about 187 GB of memory, 187 GB of it for its",
        ),
        (["attention.heads=1000000000"], "; lower attention.heads"),
        (["attention.heads=2", "attention.head_dim=10000000000"], "attention.head_dim=10000000000: this run needs"),
        (["attention.heads=1000000", "attention.head_dim=1000000"], "lower attention.heads or attention.head_dim"),
        (["task.max_length=100000000"], "64.0 GB of it for its table of positions, and"),
        (["backbone.positions=learned", "task.max_length=100000000"], "task.max_length=100000000: this run needs"),
        (["data.tokenizer.vocab_size=1000000000000"], "; lower data.tokenizer.vocab_size"),
        ([f"backbone.d_model={2**63 - 1}"], f"backbone.d_model={2**63 - 1}: this run needs"),
        (["data.train_size=1000000000000"], "these are 1000000001000 phrases, and they are made one by one"),
        (["data=reverse", "data.train_size=5000000000"], "5.50 TB of it for the rows of its corpus, and this machine"),
        (["data=reverse", f"data.max_symbols={2**63 - 1}"], "lower data.max_symbols"),
        (["data=reverse", "data.train_size=600000", "data.max_symbols=4"], "there are only 456976 different ones"),
        (["task=language_model", "data=recall", "data.length=1000000000"], "lower data.length"),
    ],
)
def test_absurd_sizes_are_refused_by_name(make_config, overrides, words):
    assert words in refusal(make_config(*overrides))


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["data.batch_size=1000000000"],  # no batch is larger than the corpus
        ["backbone.d_model=4096", "backbone.layers=6", "backbone.d_ff=16384"],  # 45 GB: less than twice the memory
        ["task.max_length=50000000"],
        ["data.train_size=1000000"],
        [*REVERSE, "data.max_symbols=9", "data.train_size=1000", "data.val_size=10", "data.test_size=12"],  # all 1022
        ["task=language_model", "data=recall", "data.train_size=1000000"],
        ["task=language_model", "task.max_length=100000"],
    ],
)
def test_what_might_work_is_not(make_config, overrides):
    require_feasible(make_config(*overrides))


def test_one_string_more_than_there_are(make_config):
    splits = ["data.max_symbols=9", "data.train_size=1000", "data.val_size=11", "data.test_size=12"]
    assert "these are 1023 strings, and" in refusal(make_config(*REVERSE, *splits))


def test_what_is_known_once_the_data_are_there_counts_too(make_config):
    seen = Seen(vocabulary=1000, rows=20_000, lengths=Lengths(15, 15))
    heads = make_config("attention.heads=1000000")
    require_feasible(heads)
    assert "GB of it for what a step keeps for its backward pass" in refusal(heads, seen)
    words = make_config("data.tokenizer.kind=word", "data.tokenizer.vocab_size=null")
    assert "vocabulary=1000000000: this run" in refusal(words, Seen(10**9, 1, Lengths(1, 1)))
    assert "data.batch_size=10000000: this run" in refusal(
        make_config("data.batch_size=10000000"), Seen(1000, 10**7, Lengths(15, 15))
    )

    by_tokens = make_config("data.batch_size=null", "data.batch_tokens=150000000")
    assert "data.batch_tokens=150000000: this run" in refusal(by_tokens, Seen(1000, 10**7, Lengths(15, 15)))
    in_rows, in_tokens = (
        make_config("data.batch_size=100"),
        make_config("data.batch_size=null", "data.batch_tokens=1500"),
    )
    same = Seen(1000, 10**7, Lengths(15, 12))
    needs = [model_bytes(sizes(config, same), config, same) for config in (in_rows, in_tokens)]
    assert needs[0] == needs[1]


def test_only_scores_that_keep_their_weights_are_charged_for_them(make_config, monkeypatch):
    seen = Seen(vocabulary=100, rows=10_000, lengths=Lengths(0, 10_000))
    text = ("task=language_model", "task.max_length=10000", "tracking.probes=0", "data.batch_size=32", "trainer=cpu")
    for score in (additive, dot):
        monkeypatch.setattr(score, "library", lambda: None)  # as where there is no compiler
    for changes in (["attention=additive"], ["attention.dropout=0.1"]):
        config = make_config(*text, *changes)
        assert model_bytes(sizes(config, seen), config, seen)["attention weights"] == 4 * 2 * 32 * 2 * 10_000**2
        assert "GB of it for attention weights" in refusal(config, seen)
    for score in (additive, dot):
        monkeypatch.setattr(score, "library", lambda: "compiled loops")
    dropout = "attention.dropout=0.1"
    for changes in (["attention=additive"], ["attention=additive", dropout], [dropout], []):
        config = make_config(*text, *changes)
        assert model_bytes(sizes(config, seen), config, seen)["attention weights"] == 0
        require_feasible(config, seen)


@pytest.mark.parametrize("task", ["data=reverse", "task=language_model data=recall"])
def test_what_prepared_data_say_is_what_the_batches_hold(make_config, task):
    splits = ("data.train_size=300", "data.val_size=20", "data.test_size=20")
    config = make_config(*SMOKE[:2], *task.split(), *splits, "task.max_length=128")
    data = DataModule(config)
    data.prepare()
    seen = Seen.of(data.report, 128)
    plan = data._set("train").train_plan(1, 0, 16)
    assert seen.rows == sum(map(len, plan))
    assert seen.vocabulary == build_task(config, data.tokenizer).model.embedding.tokens.num_embeddings
    first = data._set("train")[plan[0]]
    width = (first.source_BS if hasattr(first, "source_BS") else first.input_BT).shape[1]
    assert max(seen.lengths.source, seen.lengths.target) <= 2 * width


@pytest.mark.parametrize("letters", [39, 40, 41])
def test_the_windows_of_a_long_text_are_those_that_are_trained_on(letters):
    config = TokenizerConfig(kind="character", vocab_size=None, min_count=1, bytes=None, joint=True)
    stream = StreamSet(in_memory(encode_stream(["x" * letters], Tokenizer.train(["x"], config))), 10)
    report = {"vocab_size": 5, "train": {"rows": 1, "left_out": 0, **stream.counts()}}
    seen = Seen.of(report, 10)
    assert (seen.rows, seen.lengths.target) == (len(stream.train_plan(1, 0, 1)), 10)


def test_the_fewest_keys_are_named():
    assert decisive({"a": 10, "b": 1000}, lambda of: of["a"] * of["b"], 20) == ["b"]
    assert decisive({"a": 100, "b": 1000}, lambda of: of["a"] * of["b"], 20) == ["b", "a"]
    assert decisive({"a": 100}, lambda _: 10**6, 20) == ["a"]


def test_on_a_gpu_its_memory_decides(make_config, monkeypatch):
    monkeypatch.setattr(demands, "_on_gpu", lambda _: True)
    found = SimpleNamespace(total_memory=8 * 10**9)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: found)
    config = make_config("backbone.d_model=4096", "backbone.layers=6", "backbone.d_ff=16384")
    assert refusal(config).endswith("and the GPU has 8.00 GB; lower backbone.d_model")
    found.total_memory = 80 * 10**9
    require_feasible(config)
    assert "the rows of its corpus, and this machine has" in refusal(
        make_config("data=reverse", "data.train_size=5000000000")
    )


def test_nobody_is_refused_where_the_system_does_not_say_what_it_has(make_config, monkeypatch):
    monkeypatch.setattr(demands, "total_memory", lambda: None)
    require_feasible(make_config("backbone.d_model=1000000000", "trainer=cpu"))


@pytest.mark.parametrize("command", ["train", "reproduce"])
def test_the_command_says_so_and_starts_nothing(cli, finished_run, command, tmp_path):
    if command == "train":
        code, out, err = cli("train", *SMOKE, "backbone.d_model=1000000000")
    else:
        values = (finished_run.path / "config.yaml").read_text()
        Path("large.yaml").write_text(values.replace("d_model: 16", "d_model: 1000000000"))
        code, out, err = cli("reproduce", "large.yaml")
    last = err.splitlines()[-1]
    assert (code, out) == (2, "")
    assert last.startswith("error: backbone.d_model=1000000000: this run needs about ")
    assert not Path("runs").exists()
