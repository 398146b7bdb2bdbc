import pytest
from commands import composed_config
from training_runs import LONGER, RUN


@pytest.fixture(scope="session")
def uninterrupted(tmp_path_factory):
    """The run of RUN that was never stopped."""
    from attncompare.training.run import train

    return train(composed_config(tmp_path_factory.mktemp("uninterrupted"), RUN))


@pytest.fixture(scope="session")
def longer(tmp_path_factory):
    """Likewise of LONGER."""
    from attncompare.training.run import train

    return train(composed_config(tmp_path_factory.mktemp("longer"), LONGER))


@pytest.fixture(scope="session")
def writes(tmp_path_factory):
    """How many files RUN writes."""
    from killed_process import train_until_killed

    _, _, ended = train_until_killed(composed_config(tmp_path_factory.mktemp("writes"), RUN))
    return ended["writes"]
