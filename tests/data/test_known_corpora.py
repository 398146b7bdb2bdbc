"""Multi30k and Tiny Shakespeare: the real files where they are at hand, and fetched ones from a server of this process."""

import functools
import gzip
import http.server
import shutil
import socket
import threading
from pathlib import Path

import pytest
from dataset_configs import data_config, dataset
from pydantic import ValidationError

from attncompare.data import reading
from attncompare.data.corpora import multi30k, tinyshakespeare
from attncompare.data.corpus import fingerprint, overlap
from attncompare.data.dataset import SPLITS
from attncompare.errors import Refused

SHARED = Path(__file__).parents[2].parent / "shared" / "data"


pytestmark = pytest.mark.usefixtures("empty_cache")  # nothing that another test fetched is there


@pytest.fixture
def shared():
    def folder(name):
        if not (SHARED / name).is_dir():
            pytest.skip(f"the data of {name} are not at hand in {SHARED}")
        return SHARED / name

    return folder


@pytest.mark.parametrize("form", ["raw", "lc.norm.tok"])
def test_multi30k_has_its_published_sizes_and_one_caption_of_val_in_train(shared, form):
    corpus = dataset("multi30k", path=str(shared("multi30k")), form=form).load()
    assert [len(corpus.splits[split]) for split in SPLITS] == [29_000, 1014, 1000]
    found = overlap(corpus)
    assert found["val"]["source_in_train"] == 1
    assert found["test"]["source_in_train"] == found["val"]["in_train"] == found["test"]["in_train"] == 0
    first = corpus.splits["train"][0]
    assert first["source"].startswith("Two young, White" if form == "raw" else "two young , white")
    assert first["target"].startswith("Zwei junge" if form == "raw" else "zwei junge")


def test_multi30k_reads_other_directions_and_says_what_a_folder_lacks(shared):
    folder = str(shared("multi30k"))
    forth = dataset("multi30k", path=folder).load().splits["val"]
    back = dataset("multi30k", path=folder, source="de", target="en").load().splits["val"]
    assert forth["source"][:] == back["target"][:] and forth["target"][:] == back["source"][:]
    with pytest.raises(Refused, match=r"lacks train\.lc\.norm\.tok\.fr: it holds test_2016_flickr\.de"):
        dataset("multi30k", path=folder, target="fr").files()


def test_tiny_shakespeare_is_cut_as_usual(shared):
    folder = shared("tinyshakespeare")
    corpus = dataset("tinyshakespeare", path=str(folder)).load()
    texts = {split: corpus.splits[split]["text"][0] for split in SPLITS}
    assert [len(texts[split]) for split in SPLITS] == [1_003_854, 111_540, 111_540]
    assert texts["train"] + texts["val"] == (folder / "input.txt").read_text()
    assert corpus.stream and corpus.test_is_val and texts["test"] == texts["val"]
    same = dataset("tinyshakespeare", path=str(folder / "input.txt"), data_seed=2).load()
    assert fingerprint(same) == fingerprint(corpus)
    three = dataset("tinyshakespeare", path=str(folder), test_fraction=0.05).load()
    assert not three.test_is_val
    assert "".join(three.splits[split]["text"][0] for split in SPLITS) == (folder / "input.txt").read_text()


def test_the_record_says_that_test_is_val(make_config, tmp_path):
    from attncompare.data.module import DataModule

    (tmp_path / "input.txt").write_text("To be, or not to be: that is the question.\n" * 40)
    overrides = ["task=language_model", "task.max_length=8", "data=tinyshakespeare", f"data.path={tmp_path}"]
    module = DataModule(make_config(*overrides))
    module.prepare()
    assert module.report["test"]["is_val"] is True
    assert "is_val" not in module.report["val"]
    assert module.report["origin"] == {"files": {"train": ["input.txt"]}}
    module = DataModule(make_config(*overrides, "data.test_fraction=0.1"))
    module.prepare()
    assert "is_val" not in module.report["test"]


@pytest.fixture
def served(tmp_path, monkeypatch):
    """A folder that a server of this process serves under the address of both corpora."""
    folder = tmp_path / "served"
    folder.mkdir()
    handler = http.server.SimpleHTTPRequestHandler
    monkeypatch.setattr(handler, "log_message", lambda *_: None)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(handler, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(multi30k, "ADDRESS", address)
    monkeypatch.setattr(tinyshakespeare, "ADDRESS", f"{address}/input.txt")
    yield folder
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("form", ["raw", "lc.norm.tok"])
def test_multi30k_is_fetched_once(served, form, capfd):
    found = dataset("multi30k", form=form, target="fr")
    for split, pair in found.addresses().items():
        for language, address in zip(("en", "fr"), pair, strict=True):
            file = served / address.split("/", 3)[3]
            file.parent.mkdir(exist_ok=True)
            content = f"{language} {split}\n".encode()
            file.write_bytes(gzip.compress(content) if form == "raw" else content)
    assert found.files() == []
    corpus = found.load()
    assert corpus.splits["test"][:] == {"source": ["en test"], "target": ["fr test"]}
    assert len(corpus.origin["addresses"]) == 6
    shutil.rmtree(served)
    assert fingerprint(found.load()) == fingerprint(corpus)
    assert capfd.readouterr() == ("", "")


def test_tiny_shakespeare_is_fetched_once(served):
    (served / "input.txt").write_text("abcdefghij" * 10)
    corpus = dataset("tinyshakespeare").load()
    assert corpus.splits["val"]["text"][:] == ["abcdefghij"]
    (served / "input.txt").unlink()
    assert fingerprint(dataset("tinyshakespeare").load()) == fingerprint(corpus)


@pytest.mark.parametrize("name", ["multi30k", "tinyshakespeare"])
def test_what_cannot_be_fetched_is_told_in_one_line(served, name, capfd):
    with pytest.raises(
        Refused, match=rf"^data={name}: http\S+ cannot be fetched .* local files with data\.path="
    ) as refusal:
        dataset(name).load()  # nothing is served
    assert "\n" not in str(refusal.value)
    assert capfd.readouterr() == ("", "")


def test_an_address_that_is_silent_is_not_waited_for(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setattr(reading, "_ANSWER", 0.2)
        monkeypatch.setattr(tinyshakespeare, "ADDRESS", f"http://127.0.0.1:{silent.getsockname()[1]}/input.txt")
        with pytest.raises(Refused, match="cannot be fetched"):
            dataset("tinyshakespeare").load()


def test_the_addresses_are_those_of_the_published_files():
    raw = dataset("multi30k", form="raw", test="test_2018_flickr", source="cs").addresses()
    assert raw["test"][0].endswith("/multi30k/dataset/master/data/task1/raw/test_2018_flickr.cs.gz")
    assert dataset("multi30k").addresses()["train"][1].endswith("/task1/tok/train.lc.norm.tok.de")


def test_languages_that_a_test_set_lacks_are_refused():
    for test in ("test_2017_flickr", "test_2017_mscoco"):
        with pytest.raises(ValidationError, match=f"data.test={test} has no Czech; valid: test_2016_flickr, test_2018"):
            data_config("multi30k", test=test, target="cs")
    with pytest.raises(ValidationError, match="source and target are both 'en'"):
        data_config("multi30k", target="en")
