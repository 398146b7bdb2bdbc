import pytest
from sample_maps import sample_probe

from attncompare.tracking.maps import save_maps
from attncompare.tracking.record import RecordWriter, Run

QUALITY = {
    "translation": {"loss": 2.0, "token_accuracy": 0.5, "exact_match": 0.25, "bleu": 30.0, "chrf": 50.0},
    "language_model": {"loss": 3.0, "bits_per_byte": 1.5, "token_accuracy": 0.4},
}


@pytest.fixture
def make_run(make_config, tmp_path):
    """Write a run's folder as if it had been trained; ``test`` changes its test figures."""

    def make(
        folder,
        *overrides,
        state="finished",
        message=None,
        fingerprint="f" * 64,
        test=None,
        cost=None,
        answer="{}. März",
    ):
        config = make_config(*overrides)
        path = tmp_path / "runs" / folder
        path.mkdir(parents=True)
        quality = {**QUALITY[config.task.name], **(test or {})}
        writer = RecordWriter(path, config, overrides, ["train/loss", *(f"val/{name}" for name in quality)])
        for step in (100, 200, 300):
            writer.log(step, 0, {"train/loss": 5.0 - step / 100})
            writer.log(step, 0, {f"val/{name}": value for name, value in quality.items()})
        writer.environment({"python": "3.11", "torch": "2.13.0"})
        if config.task.name == "translation":
            item = {"source": "the <script>alert(1)</script>", "reference": "1. März"}
            writer.predictions([{"id": i, **item, "prediction": answer.format(i)} for i in range(3)])
        else:
            writer.predictions([{"id": 0, "prompt": "Return <b>", "continuation": answer}])
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
            data={"fingerprint": fingerprint},
        )
        writer.close(state, message)
        return Run.open(path)

    return make
