from __future__ import annotations

from collections.abc import Iterator

import pytest
from caretaker.runtime import logging
from inbound_stage import Stage
from inbound_stage import stage as made


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    with made(monkeypatch) as found:
        yield found


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Messages that are logged."""
    written: list[str] = []

    class Logger:
        def info(self, text: str, extra: object = None) -> None:
            written.append(text)

        error = warning = info

        def clear_state(self) -> None:
            """A new invocation."""

        def append_keys(self, **keys: object) -> None:
            """Keys of the invocation."""

    monkeypatch.setattr(logging, "logger", Logger)
    return written
