import functools
import os

import pytest
from commands import composed_config
from sample_maps import sample_probe

from attncompare.maps.maps import save_maps
from attncompare.record import Run
from attncompare.record import RecordLogger

QUALITY = {
    "translation": {"loss": 2.0, "token_accuracy": 0.5, "exact_match": 0.25, "bleu": 30.0, "chrf": 50.0},
    "language_model": {"loss": 3.0, "bits_per_byte": 1.5, "token_accuracy": 0.4},
}


@functools.cache
def _composed(overrides):
    return composed_config("runs", overrides)


def _config(overrides, runs):
    """Compose each variant once, and set the seed afterwards: composing takes most of the time of these tests."""
    seeds = [int(override.removeprefix("seed=")) for override in overrides if override.startswith("seed=")]
    config = _composed(tuple(override for override in overrides if not override.startswith("seed=")))
    return config.model_copy(update={"runs": str(runs), **({"seed": seeds[-1]} if seeds else {})})


@pytest.fixture
def make_run(tmp_path, monkeypatch):
    """Write a run's folder as if it had been trained; ``test`` changes its test figures."""
    monkeypatch.setattr(os, "fsync", lambda _: None)  # no power is lost here, and it takes most of the time

    def make(
        folder,
        *overrides,
        state="finished",
        message=None,
        fingerprint="f" * 64,
        test=None,
        cost=None,
        answer="{}. März",
        answers=None,
        losses=(),
        validations=None,
        data=None,
    ):
        """Write one run.

        answers: predictions of a translation's test sentences instead of three like ``answer``; [] for none.
        losses: rows of losses.jsonl.
        validations: rows of metrics.csv instead of three plain ones.
        data: more of what the summary says of the data.
        """
        config = _config(overrides, tmp_path / "runs")
        path = tmp_path / "runs" / folder
        path.mkdir(parents=True)
        quality = {**QUALITY[config.task.name], **(test or {})}
        columns = ["train/loss", "train/tokens", "train/seconds", *(f"val/{name}" for name in quality)]
        writer = RecordWriter.create(path, config, overrides, columns)
        for step in (100, 200, 300) if validations is None else ():
            writer.log(step, 0, {"train/loss": 5.0 - step / 100})
            writer.log(step, 0, {f"val/{name}": value for name, value in quality.items()})
        for step, values in validations or ():
            writer.log(step, 0, values)
        writer.environment({"python": "3.11", "torch": "2.13.0"})
        if config.task.name == "translation":
            item = {"source": "the <script>alert(1)</script>", "reference": "1. März"}
            given = [answer.format(i) for i in range(3)] if answers is None else answers
            rows = [{"id": i, **item, "prediction": prediction} for i, prediction in enumerate(given)]
            if rows:
                writer.predictions(rows)
        else:
            writer.predictions([{"id": 0, "prompt": "Return <b>", "continuation": answer}])
        if losses:
            writer.losses(losses)
        (path / "maps").mkdir()
        for step in (100, 300):
            probes = [sample_probe(heads=config.attention.heads, seed=step + config.seed)]
            save_maps(path / "maps" / f"step-{step:08d}.npz", step, probes)
        writer.update(
            test=quality,
            signatures={"bleu": "nrefs:1|tok:13a"} if config.task.name == "translation" else {},
            cost={
                "parameters": 1_234_567,
                "train_flops_per_token": 7.6e6,
                "tokens_per_second": 4700.0,
                "peak_memory_bytes": 312_000_000,
                **(cost or {}),
            },
            data={"fingerprint": fingerprint, **(data or {})},
            best_step=300,
            steps=300,
            val=quality,
            weights_sha256="0" * 64,
        )
        writer.close(state, message)
        return Run.open(path)

    return make
