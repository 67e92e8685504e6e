"""What all tests share."""

import gc

import pytest
from hypothesis import settings

from tests import forks

# The same cases in every run, so that a run that fails can be replayed and one that passes means the same everywhere.
settings.register_profile("replayed", derandomize=True)
settings.load_profile("replayed")


def pytest_addoption(parser: pytest.Parser) -> None:
    text = "of the moments that tests marked `moments` try, try one in so many"
    parser.addoption("--one-in", type=int, default=1, metavar="N", help=text)


@pytest.fixture(autouse=True)
def _fewer_moments(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.node.get_closest_marker("moments"):
        monkeypatch.setattr(forks, "ONE_IN", request.config.getoption("--one-in"))


def pytest_collection_finish(session: pytest.Session) -> None:
    """A fifth of the time of rehearsals was Python's search for cycles among what stays anyway: modules, API models and
    the worlds that several tests look at."""
    gc.freeze()
    gc.set_threshold(50_000, 10, 10)
