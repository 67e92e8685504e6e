"""What all tests share."""

import gc

import pytest
from hypothesis import settings

# The same cases in every run, so that a run that fails can be replayed and one that passes means the same everywhere.
settings.register_profile("replayed", derandomize=True)
settings.load_profile("replayed")


def pytest_collection_finish(session: pytest.Session) -> None:
    """A fifth of the time of rehearsals was Python's search for cycles among what stays anyway: modules, API models and
    the worlds that several tests look at."""
    gc.freeze()
    gc.set_threshold(50_000, 10, 10)
