from __future__ import annotations

from collections.abc import Iterator

import pytest
from caretaker.runtime.table import Table
from runtime_stage import dynamodb


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Table]:
    with dynamodb(monkeypatch) as found:
        yield found
