"""Where the tests of worlds keep what has run."""

from __future__ import annotations

import os

import pytest
from rehearsals import shelf


@pytest.fixture(scope="session", autouse=True)
def _shelf(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The folder of this run of the tests; pytest-xdist gives each worker a folder of its own in it."""
    own = tmp_path_factory.getbasetemp()
    shelf[:] = [own.parent if "PYTEST_XDIST_WORKER" in os.environ else own]
