"""The data module, over every corpus of text that conf/data lists; those of sound have a file of their own."""

import json
import logging
import random
import sys

import datasets
import pytest
import torch
from dataset_configs import same_batch

from attncompare.data import encoding, standard_library
from attncompare.data.cache import cache_folder
from attncompare.data.module import DataModule
from attncompare.data.tokenizer import BOS, EOS, PAD, UNK
from attncompare.errors import Refused
from attncompare.registry import load, names

CORPORA = [name for name in names("datasets") if load("datasets", name).kind in ("parallel", "text")]
TEXT = [name for name in CORPORA if load("datasets", name).kind == "text"]
SMALL = {
    "locale": ["data.train_size=600", "data.val_size=40", "data.test_size=40", "data.tokenizer.vocab_size=400"],
    "reverse": ["data.train_size=200", "data.val_size=20", "data.test_size=20"],
    "recall": ["data.train_size=200", "data.val_size=20", "data.test_size=20"],
    "pairs": ["data.tokenizer.vocab_size=270"],
    "multi30k": ["data.tokenizer.vocab_size=270"],
    "text": ["data.tokenizer.vocab_size=270", "task.max_length=8", "data.val_fraction=0.2", "data.test_fraction=0.2"],
    "tinyshakespeare": ["task.max_length=8"],
    "pydocs": ["data.tokenizer.vocab_size=400", "task.max_length=32"],
    "docsum": ["data.tokenizer.vocab_size=400", "task.max_length=4096", "data.val_fraction=0.2"],
}
READ = {"pairs": "", "multi30k": "", "text": "*.txt", "tinyshakespeare": "input.txt"}  # what of the folder is read


@pytest.fixture
def make_module(make_config, tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    few = {"argparse", "ast", "bisect", "calendar", "cmd", "csv", "heapq", "json", "random", "shelve", "statistics"}
    monkeypatch.setattr(standard_library, "LEFT_OUT", standard_library.LEFT_OUT | (sys.stdlib_module_names - few))
    for split, count in {"train": 40, "val": 6, "test": 6}.items():
        for language, word in {"en": "number", "de": "Zahl"}.items():
            lines = "".join(f"{word} {i} in {split}\n" for i in range(count))
            (tmp_path / f"{split}.{language}").write_text(lines)
    for file in (tmp_path / "train.en", tmp_path / "train.de"):
        (tmp_path / f"{file.name}.txt").write_text(file.read_text())
    for name, file in {"train.{}": "train.{}", "val.{}": "val.{}", "test_2016_flickr.{}": "test.{}"}.items():
        for language in ("en", "de"):
            lines = (tmp_path / file.format(language)).read_text()
            (tmp_path / name.format(f"lc.norm.tok.{language}")).write_text(lines)
    (tmp_path / "input.txt").write_text("To be, or not to be.\n\nThat is the question." * 20)

    def make(name, *overrides):
        task = "language_model" if name in TEXT else "translation"
        where = [f"data.path={tmp_path / READ[name]}"] if name in READ else []
        return DataModule(make_config(f"task={task}", f"data={name}", *where, *SMALL.get(name, []), *overrides))

    return make


@pytest.mark.parametrize("corpus_name", CORPORA)
def test_text_survives_and_batches_are_whole(make_module, corpus_name):
    module = make_module(corpus_name)
    module.setup("fit")
    tokenizer = module.tokenizer
    module.prepare()
    assert module.tokenizer is tokenizer
    assert json.loads(json.dumps(module.report)) == module.report
    assert module.report["vocab_size"] == module.tokenizer.vocab_size
    for split, loader in (("val", module.val_dataloader()), ("test", module.test_dataloader())):
        counts, seen, size = module.report[split], 0, 0
        for batch in loader:
            if corpus_name in TEXT:
                assert not batch.scored_BT[batch.target_BT == PAD].any()
                seen += int(batch.scored_BT.sum())
                size += int(batch.bytes_BT[batch.scored_BT].sum())
            else:
                source, target = module.pair(split, int(batch.index_B[0]))
                assert module.tokenizer.decode(batch.source_BS[0].tolist()) == source
                assert module.tokenizer.decode(batch.target_BT[0].tolist()) == target
                seen += int((batch.target_BT[:, 1:] != PAD).sum())
        expected = {"recall": "scored_tokens"}.get(corpus_name, "tokens" if corpus_name in TEXT else "target_tokens")
        assert seen == counts[expected]
        assert size == counts.get("bytes", 0)
        assert counts["in_train"] == counts["truncated"] == counts["left_out"] == 0
        assert counts["unknown_rate"] == 0
    probes = module.probes(4)
    assert len(probes) == 4
    for probe in probes:
        assert module.tokenizer.labels(probe.target_ids)
        if probe.source_ids is not None:
            assert probe.target_ids[0] == BOS and probe.target_ids[-1] == probe.source_ids[-1] == EOS
        if probe.sure_TS is not None:
            assert probe.sure_TS.shape == (len(probe.target_ids) - 1, len(probe.source_ids))
            assert probe.sure_TS[-1, -1]
            assert not (probe.sure_TS & ~probe.possible_TS).any()
            assert probe.possible_TS.any(axis=1).sum() >= 3


def batches_of(module, epoch=0):
    loader = module.train_dataloader()
    loader.load_state_dict({"epoch": epoch, "given": 0})
    return [[field.tolist() for field in batch if isinstance(field, torch.Tensor)] for batch in loader]


@pytest.mark.parametrize("name", ["reverse", "recall"])
def test_data_and_order_follow_from_the_data_seed_alone(make_module, name):
    first, second = make_module(name), make_module(name, "seed=7")
    first.prepare()
    random.seed(5)
    torch.manual_seed(5)
    second.prepare()
    assert first.fingerprint == second.fingerprint
    assert batches_of(first, 2) == batches_of(second, 2) != batches_of(first, 3)
    other = make_module(name, "data_seed=2")
    other.prepare()
    assert other.fingerprint != first.fingerprint
    assert batches_of(other, 2) != batches_of(first, 2)


def test_the_vocabulary_knows_the_train_split_alone(make_module, tmp_path):
    module = make_module("pairs", "data.tokenizer.kind=word", "data.tokenizer.vocab_size=null")
    module.prepare()
    assert UNK in module.tokenizer.encode(" val").ids
    assert UNK not in module.tokenizer.encode(" train").ids
    assert 0 < module.report["val"]["unknown_rate"] < 0.5
    assert module.report["train"]["unknown_rate"] == 0


def test_what_is_left_out_and_cut_is_counted_and_said(make_module, tmp_path, caplog):
    for split in ("train", "val"):
        for language in ("en", "de"):
            lines = (tmp_path / f"{split}.{language}").read_text()
            (tmp_path / f"{split}.{language}").write_text(lines + "a b c d e f g h i j k l m n o p\n")
    with caplog.at_level(logging.WARNING, "attncompare"):
        module = make_module("pairs", "data.tokenizer.kind=word", "data.tokenizer.vocab_size=null", "task.max_length=8")
        module.prepare()
    assert module.report["train"]["left_out"] == 1
    assert module.report["val"] | {"left_out": 0, "truncated": 1, "in_train": 1} == module.report["val"]
    assert "train: left out 1 of 41 rows, over task.max_length=8" in caplog.text
    assert "val: truncated 1 of 7 rows to task.max_length=8" in caplog.text
    assert "val: of 7 rows, the whole of 1, the source of 1, the target of 1 stand in train too" in caplog.text
    assert all(note in caplog.text for note in module.notes) and len(module.notes) == 3
    assert max(batch.target_BT.shape[1] for batch in module.train_dataloader()) <= 9  # of which the model reads 8


def test_a_side_in_train_is_said_where_no_whole_row_is(make_module, tmp_path):
    (tmp_path / "val.en").write_text("".join(f"number {i} in train\n" for i in range(6)))
    module = make_module("pairs")
    module.prepare()
    assert "val: of 6 rows, the source of 6 stand in train too" in module.notes


def test_a_limit_that_leaves_nothing_is_refused(make_module):
    with pytest.raises(Refused, match=r"task\.max_length=20: every train row is longer"):
        make_module("recall", "task.max_length=20").prepare()


@pytest.mark.parametrize("name", ["reverse", "recall", "tinyshakespeare", "text"])
def test_what_is_too_small_for_the_probes_and_the_vocabulary_gives_what_it_has_and_says_so(make_module, name):
    longer = ("task.max_length=400",) if name == "recall" else ()
    module = make_module(
        name, "tracking.probes=1000", "data.tokenizer.kind=bpe", "data.tokenizer.vocab_size=5000", *longer
    )
    module.prepare()
    assert len(module.probes(1000)) == len(module.probes(10**6)) < 1000
    capped, few = sorted(module.notes)
    assert capped == f"data.tokenizer.vocab_size=5000: the train split gives {module.report['vocab_size']} tokens"
    assert few.startswith(f"tracking.probes=1000: val holds {len(module.probes(1000))} ")


def test_own_sentences_are_read_as_the_model_reads_them(make_module):
    pairs, text = make_module("reverse"), make_module("recall")
    (one,) = pairs.probes(["abc => cba"])
    assert (one.written, one.target_written, one.sure_TS) == ("abc", "cba", None)
    assert one.source_ids == [*pairs.tokenizer.encode("abc").ids, EOS]
    assert one.target_ids == [BOS, *pairs.tokenizer.encode("cba").ids, EOS]
    (read,) = text.probes(["a => b"])
    assert read.source_ids is None and read.target_ids == [BOS, *text.tokenizer.encode("a => b").ids, EOS]
    room = text.config.task.max_length - 1  # BOS is read before it
    assert len(text.probes([" a" * room])[0].target_ids) == room + 2
    for sentence, module in (("abc", pairs), ("abc => " + "a" * 500, pairs), (" a" * (room + 1), text)):
        with pytest.raises(Refused, match=r"^tracking\.probes=") as refused:
            module.probes([sentence])
        assert "\n" not in str(refused.value)


def test_of_test_there_are_examples_too(make_module):
    module = make_module("reverse")
    source, _ = module.pair("test", 0)
    val, test = ([probe.source_ids for probe in module.probes(5, split)] for split in ("val", "test"))
    assert len(val) == len(test) == 5 and val != test
    everything = [module.tokenizer.decode(probe.source_ids) for probe in module.probes(10**6, "test")]
    assert source in everything


def test_probes_of_locale_hold_several_aligned_fields(make_module):
    probes = make_module("locale").probes(6)
    assert all(probe.possible_TS[:-1].any(axis=1).sum() >= 3 and 6 <= len(probe.source_ids) <= 20 for probe in probes)


def test_gold_alignment_of_reverse_is_the_other_diagonal(make_module):
    probe = make_module("reverse").probes(1)[0]
    length = len(probe.source_ids) - 1
    assert probe.sure_TS[:length, :length][:, ::-1].diagonal().all()
    assert probe.sure_TS.sum() == length + 1
    assert (probe.sure_TS == probe.possible_TS).all()


@pytest.mark.parametrize("name", ["locale", "recall", "text", "pairs"])
def test_from_the_cache_come_the_same_batches_and_probes(make_module, name, monkeypatch):
    few = ("trainer.limit_batches=3",)
    small = make_module(name, *few)
    small.prepare()
    monkeypatch.setattr(encoding, "_LARGE", 1)
    found = []
    for _ in range(2):  # made, and found there
        large = make_module(name, *few)
        large.prepare()
        found.append(large)
        assert large.report == small.report
        assert large.tokenizer.to_text() == small.tokenizer.to_text()
        assert batches_of(large, 1) == batches_of(small, 1)
        for one, other in zip(large.test_dataloader(), small.test_dataloader(), strict=True):
            assert same_batch(one, other)
        assert [probe.target_ids for probe in large.probes(3)] == [probe.target_ids for probe in small.probes(3)]
    assert sum(one.is_dir() for one in cache_folder().iterdir()) == {"recall": 4, "text": 5}.get(name, 7)


BY_TOKENS = ("data.batch_size=null", "data.batch_tokens=100")


@pytest.mark.parametrize("name", ["reverse", "recall", "tinyshakespeare"])
def test_batches_by_tokens_hold_every_row_once_within_the_budget(make_module, name):
    module = make_module(name, *BY_TOKENS, "task.max_length=64")
    module.prepare()
    epochs = [batches_of(module, epoch) for epoch in (0, 1)]
    assert len(epochs[0]) == len(epochs[1]) == len(module.train_dataloader())
    assert epochs[0] != epochs[1] and epochs[0] == batches_of(module, 0)
    rows = []
    for loader in (module.train_dataloader(), module.val_dataloader(), module.test_dataloader()):
        for batch in loader:
            inputs = batch.input_BT if name in TEXT else torch.cat((batch.source_BS, batch.target_BT[:, 1:]), dim=1)
            longest = inputs.shape[1] if name in TEXT else max(batch.source_BS.shape[1], batch.target_BT.shape[1] - 1)
            assert len(inputs) * longest <= 100
    if name == "reverse":
        rows = [index for *_, indices in epochs[0] for index in indices]
        assert sorted(rows) == list(range(200))
    if name != "tinyshakespeare":
        assert 0 <= module.report["train"]["padding"] < 0.2


def test_exactly_one_size_of_a_batch_is_given_and_holds_a_row(make_config):
    both = r"data: batch_size=64 and batch_tokens=4096: one of the two says how large a batch is"
    with pytest.raises(Refused, match=both):
        make_config("data.batch_tokens=4096")
    with pytest.raises(Refused, match="data: batch_size=null and batch_tokens=null: one of the two"):
        make_config("data.batch_size=null")
    with pytest.raises(Refused, match=r"data.batch_tokens=63 holds no row of task.max_length=64 tokens; raise it"):
        make_config("data.batch_size=null", "data.batch_tokens=63", "task.max_length=64")
    shared = ("data.batch_size=null", "data.batch_tokens=128", "task.max_length=64", "trainer.accelerator=cpu")
    assert make_config(*shared, "trainer.devices=2").data.rows_of(64) == 2
    with pytest.raises(Refused, match=r"data.batch_tokens=128 holds 2 rows .*trainer.devices=3"):
        make_config(*shared, "trainer.devices=3")
