"""The function dies just before and just after each call of a sweep: nothing in use is deleted, and it ends as swept.

`pytest -m long tests/garbage_sweeps/test_sweep_deaths.py` tries every moment. What needs Lambda and the interpreter of
Step Functions (executions that are stopped or time out, the reaper) is in tests/worlds/test_sweep_crashes.py.
"""

from __future__ import annotations

import pytest

from tests import forks
from tests.garbage_sweeps.sweep_deaths import Series
from tests.points import Choice

TELLING = {
    "GarbageSweep before elbv2:DeleteRule 1",
    "GarbageSweep after elbv2:DeleteRule 1",
    "GarbageSweep after dynamodb:TransactWriteItems 3",
}


def held(patch: pytest.MonkeyPatch, choose: Choice, *sharers: str) -> int:
    """How many moments were tried; in none of them anything broke, and one sweep swept all."""
    plain, *others = Series(choose, *sharers).explore(patch)
    print(f"{len(others)} moments")
    assert [str(each) for each in (plain, *others) if each.broken] == []
    assert [str(each) for each in others if "swept" not in each.outcomes] == []
    return len(others)


def test_a_sample_of_moments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Around a deletion, and with an intent written whose call was never made."""
    assert held(monkeypatch, lambda point: str(point) in TELLING, "api") == len(TELLING)


def test_a_load_balancer_that_is_gone_after_a_death_was_deleted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of its own can be read then; the listing that does not show it any more says enough."""
    points = {"GarbageSweep after elbv2:DeleteLoadBalancer 1", "GarbageSweep before dynamodb:UpdateItem 33"}
    assert held(monkeypatch, lambda point: str(point) in points) == len(points)


@pytest.mark.long
@pytest.mark.moments
@pytest.mark.parametrize("sharers", [("api",), ()], ids=["one of two sharers", "the last of a load balancer"])
def test_every_moment(monkeypatch: pytest.MonkeyPatch, sharers: tuple[str, ...]) -> None:
    assert held(monkeypatch, lambda point: True, *sharers) > 1000 // forks.ONE_IN
