import functools
import os

import pytest
from commands import composed_config
from sample_maps import sample_probe

from attncompare import registry
from attncompare.maps import save_maps
from attncompare.record import RecordLogger, Run

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
    # No power is lost here, no package is installed meanwhile, and both take most of the time.
    monkeypatch.setattr(os, "fsync", lambda _: None)
    monkeypatch.setattr(registry, "_entries", functools.cache(registry._entries))

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
        sources=None,
        items=(),
        validations=None,
        data=None,
        maps=(),
        environment=None,
        asked=None,
    ):
        """Write one run.

        answers: predictions of a translation's test sentences instead of three like ``answer``; [] for none.
        sources: what these sentences were, instead of one of two words.
        items: rows of items.jsonl.
        validations: rows of metrics.csv instead of three plain ones.
        data: more of what the summary says of the data.
        maps: (step, probes) of the files of maps.
        asked: what overrides.yaml holds instead.
        """
        config = _config(overrides, tmp_path / "runs")
        path = tmp_path / "runs" / folder
        path.mkdir(parents=True)
        quality = {**QUALITY[config.task.name], **(test or {})}
        record = RecordLogger.create(path, config, asked or overrides)
        for step in (100, 200, 300) if validations is None else ():
            record.log_metrics({"train/loss": 5.0 - step / 100}, step)
            record.log_metrics({f"val/{name}": value for name, value in quality.items() if value is not None}, step)
        for step, values in validations or ():
            record.log_metrics(values, step)
        record.environment(environment or {"python": "3.11", "torch": "2.13.0"})
        if config.task.name == "translation":
            item = {"source": "the <script>alert(1)</script>", "reference": "1. März"}
            given = [answer.format(i) for i in range(3)] if answers is None else answers
            rows = [{"id": i, **item, "prediction": prediction} for i, prediction in enumerate(given)]
            for row, source in zip(rows, sources or (), strict=False):
                row["source"] = source
        else:
            rows = [{"id": 0, "prompt": "Return <b>", "continuation": answer}]
        if rows:
            record.predictions(rows)
        if items:
            record.items(items)
        (path / "maps").mkdir()
        for step, probes in maps:
            save_maps(path / "maps" / f"step-{step:08d}.npz", step, probes)
        record.update(
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
        record.close(state, message)
        run = Run.open(path)
        vars(run)["config"] = config  # reading it takes longer than all else
        return run

    return make


@pytest.fixture
def sample_maps():
    """Maps of one probe at two steps."""
    return lambda heads=1, seed=0: [(step, [sample_probe(heads=heads, seed=step + seed)]) for step in (100, 300)]
