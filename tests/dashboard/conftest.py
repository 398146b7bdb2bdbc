import functools
import threading

import pytest
from commands import composed_config
from dashboards import Served
from sample_maps import sample_probe

from attncompare.dashboard.routes import Site
from attncompare.dashboard.server import DashboardServer
from attncompare.dashboard.watch import Watch
from attncompare.maps.maps import save_maps
from attncompare.record import Run
from attncompare.record import RecordLogger

QUALITY = {"loss": 2.0, "token_accuracy": 0.5, "exact_match": 0.25, "bleu": 30.0, "chrf": 50.0}
COST = {"parameters": 1000, "train_flops_per_token": 7e3, "tokens_per_second": 400.0, "peak_memory_bytes": 3_000_000}


@functools.cache
def _composed(attention, *more):
    return composed_config("runs", [f"attention={attention}", "trainer.max_steps=300", *more])


@pytest.fixture
def runs(tmp_path):
    """A folder of runs, empty as yet."""
    folder = tmp_path / "runs"
    folder.mkdir()
    return folder


@pytest.fixture
def add_run(runs):
    """Write a record as if it had been trained so far: ``steps`` are those that were logged, ``more`` are overrides."""

    def add(name, attention="dot", seed=1, *, state="finished", message=None, steps=(100, 200, 300), more=()):
        config = _composed(attention, *more).model_copy(update={"seed": seed})
        path = runs / name
        path.mkdir(parents=True)
        columns = ["train/loss", "train/seconds", *(f"val/{key}" for key in QUALITY)]
        overrides = [f"attention={attention}", f"seed={seed}", "trainer.max_steps=300", *more]
        writer = RecordWriter.create(path, config, overrides, columns, group=None, wandb={"id": "abcdefgh"})
        for step in steps:
            writer.log(step, 0, {"train/loss": 5.0 - step / 100, "train/seconds": step / 10})
            writer.log(step, 0, {f"val/{key}": value + step / 1000 for key, value in QUALITY.items()})
        writer.environment({"python": "3.11"})
        (path / "maps").mkdir()
        save_maps(path / "maps" / "step-0000300.npz", 300, [sample_probe(seed=seed)])
        if state == "finished":
            writer.predictions([{"id": 0, "source": "<script>alert(1)</script>", "reference": "x", "prediction": "x"}])
            ends = {"best_step": 100, "steps": 300, "val": QUALITY, "test": QUALITY, "cost": COST}
            writer.update(**ends, data={"fingerprint": "f" * 64}, signatures={}, weights_sha256="0" * 64)
        if state != "running":
            writer.close(state, message)
        return Run.open(path)

    return add


@pytest.fixture
def dashboard(runs, capsys):
    """A dashboard of ``runs`` in this process; no page of it may fail."""
    with DashboardServer(Site(Watch(runs)), 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Served(server.server_port)
        server.shutdown()
    assert capsys.readouterr().err == ""
