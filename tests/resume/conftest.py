import pytest
from commands import composed_config
from resumable import LONGER, RUN


@pytest.fixture(scope="session")
def resume_home(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="session")
def uninterrupted(resume_home):
    """The run that all others must be."""
    from attncompare.training.run import train

    return train(composed_config(resume_home, RUN))


@pytest.fixture(scope="session")
def longer(resume_home):
    """Likewise, for kills at random moments."""
    from attncompare.training.run import train

    return train(composed_config(resume_home, LONGER))
