import pytest
from commands import SMOKE, composed_config
from edited import copy_of


@pytest.fixture(scope="session")
def recorded(tmp_path_factory):
    """A finished run of six steps, validated every two, as W&B recorded it offline too."""
    from attncompare.training.run import train

    overrides = [*SMOKE, "trainer.max_steps=6", "tracking.probes=1", "tracking.images=0", "name=twice"]
    return train(composed_config(tmp_path_factory.mktemp("recorded") / "runs", overrides), overrides)


@pytest.fixture
def copied(recorded, tmp_path):
    return copy_of(recorded, tmp_path / "copied")
