import functools
import http.client
import re
import threading

import pytest
from commands import composed_config
from sample_maps import sample_probe

from attncompare.dashboard.folder import Watch
from attncompare.dashboard.pages import Site
from attncompare.dashboard.server import DashboardServer
from attncompare.maps import save_maps
from attncompare.record import RecordLogger, Run

QUALITY = {"loss": 2.0, "exact_match": 0.25, "bleu": 30.0, "chrf": 50.0}
COST = {"parameters": 1000, "train_flops_per_token": 7e3, "tokens_per_second": 400.0, "peak_memory_bytes": 3_000_000}


@functools.cache
def composed(attention, heads):
    heads = [] if heads is None else [f"attention.heads={heads}"]
    return composed_config("runs", [f"attention={attention}", *heads, "trainer.max_steps=300"])


@pytest.fixture
def runs(tmp_path):
    """A folder of runs, empty as yet."""
    folder = tmp_path / "runs"
    folder.mkdir()
    return folder


@pytest.fixture
def add_run(runs):
    """Write a record as if it had been trained so far: ``steps`` are those that were logged."""

    def add(
        name, attention="dot", seed=1, *, heads=None, asked=None, state="finished", message=None, steps=(100, 200, 300)
    ):
        config = composed(attention, heads).model_copy(update={"seed": seed})
        path = runs / name
        path.mkdir(parents=True)
        writer = RecordLogger.create(path, config, [asked or f"attention={attention}"], wandb={"id": "abcdefgh"})
        writer.update(data={"fingerprint": "f" * 64})
        for step in steps:
            row = {"step": step, "epoch": 0, "train/seconds": step / 10}
            writer.log_metrics({**row, "train/loss": 5.0 - step / 100}, step)
            writer.log_metrics({**row, **{f"val/{key}": value + step / 1000 for key, value in QUALITY.items()}}, step)
        writer.environment({"python": "3.11"})
        (path / "maps").mkdir()
        save_maps(path / "maps" / "step-0000300.npz", 300, [sample_probe(seed=seed)])
        if state == "finished":
            writer.predictions([{"id": 0, "source": "<script>alert(1)</script>", "reference": "x", "prediction": "x"}])
            ends = {"best_step": 100, "steps": 300, "val": QUALITY, "test": QUALITY, "cost": COST}
            writer.update(**ends, signatures={}, weights_sha256="0" * 64)
        if state != "running":
            writer.close(state, message)
        return Run.open(path)

    return add


class Served:
    """A dashboard that answers at ``port``."""

    def __init__(self, port):
        self.port, self.url = port, f"http://127.0.0.1:{port}"

    def ask(self, path, method="GET", headers=None):
        """Ask for ``path`` as it stands, dots and all; return status, headers and body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.putrequest(method, path, skip_host=True)
            for name, value in {"Host": f"127.0.0.1:{self.port}", **(headers or {})}.items():
                connection.putheader(name, value)
            connection.endheaders()
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def ids(self, what):
        """Return the names in addresses of all groups or runs, in the order in which the list shows them."""
        return list(dict.fromkeys(re.findall(rf"/{what}/([0-9a-f]{{16}})", self.ask("/")[2].decode())))


@pytest.fixture
def dashboard(runs, capsys):
    """A dashboard of ``runs`` in this process; no page of it may fail."""
    with DashboardServer(Site(Watch(runs)), 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Served(server.server_port)
        server.shutdown()
    assert capsys.readouterr().err == ""
