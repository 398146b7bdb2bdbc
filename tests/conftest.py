import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from attncompare.config import CONF_DIR, parse


@pytest.fixture
def make_config(tmp_path):
    """Compose conf/ with overrides into a RunConfig whose runs go to a temporary folder."""

    def make(*overrides):
        with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
            composed = compose("train", overrides=[f"runs={tmp_path / 'runs'}", *overrides])
        return parse(OmegaConf.to_container(composed, resolve=True))

    return make
