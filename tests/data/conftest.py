import datasets
import pytest


@pytest.fixture(autouse=True, scope="module")
def cache(tmp_path_factory):
    """A cache of each module's own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("cache"))
        yield


@pytest.fixture
def empty_cache(tmp_path, monkeypatch):
    """A cache of the test's own."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    return tmp_path / "cache" / "attncompare"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder for data, whose name holds what patterns and shells take for something else; no network is asked."""
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: pytest.fail("a local file asks no network"))
    folder = tmp_path / "my [own] data=ä, 1"
    folder.mkdir()
    return folder
