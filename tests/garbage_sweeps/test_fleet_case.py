"""The cases can tell: a mistake in the product's code ends one, and what Lambda dropped is counted as lost."""

from __future__ import annotations

from typing import Any, NoReturn

import pytest
from caretaker.aws.errors import AwsFailure
from caretaker.garbage import conclude
from caretaker.garbage.handlers import record_inventory
from caretaker.garbage.handlers.record_inventory import InventoryIncomplete
from caretaker.garbage.ledger import LedgerBusy

from tests.garbage_sweeps import fleet_case
from tests.garbage_sweeps.fleet_case import LAMBDA_TRIES, run

SEED = 0
"""A case in which services are created and deleted, and swept after."""
MISTAKES = [TypeError("2 arguments"), KeyError("arn"), AttributeError("arn"), AssertionError("never")]


class Failing:
    """A function that always fails."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.times = 0

    def __call__(self, *given: Any, **more: Any) -> NoReturn:
        self.times += 1
        raise self.error


@pytest.mark.parametrize("error", MISTAKES, ids=lambda error: type(error).__name__)
def test_a_mistake_in_a_function_of_the_machine_ends_the_case(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conclude, "observation", Failing(error))
    with pytest.raises(type(error)):
        run(SEED, monkeypatch)


@pytest.mark.parametrize("error", MISTAKES, ids=lambda error: type(error).__name__)
def test_a_mistake_in_recording_ends_the_case(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_inventory, "handler", Failing(error))
    with pytest.raises(type(error)):
        run(SEED, monkeypatch)


@pytest.mark.parametrize(
    "error",
    [AwsFailure("DescribeServices", "Odd", "for a test", {}), InventoryIncomplete("one"), LedgerBusy("one")],
    ids=lambda error: type(error).__name__,
)
def test_what_fails_each_time_that_lambda_tries_is_lost(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    failing = Failing(error)
    monkeypatch.setattr(record_inventory, "handler", failing)
    monkeypatch.setattr(fleet_case, "LOST", 0.0)
    case = run(SEED, monkeypatch)
    assert case.lost, "every event came, and to nothing"
    assert failing.times >= LAMBDA_TRIES
    assert failing.times % LAMBDA_TRIES == 0
    assert not case.told
    assert not case.wrong, str(case)
    assert not case.left, str(case)
