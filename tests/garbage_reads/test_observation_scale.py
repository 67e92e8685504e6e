"""A whole observation of 500 services on 20 load balancers: within a minute, and within AWS's documented rates."""

from __future__ import annotations

import time

import pytest
from caretaker.garbage.model import Kind, Read
from reads_stage import Stage, staged

from twin.ecs.express.options import ExpressOptions

SERVICES, SHARERS = 500, 25
# Of wall time, in the twin, with all of its work; it takes a fifth of that on one free core.
LIMIT = 60.0


@pytest.mark.long
def test_500_services(monkeypatch: pytest.MonkeyPatch) -> None:
    with staged(monkeypatch, Stage(ExpressOptions(load_balancer=15.0))) as stage:
        names = [f"s{number}" for number in range(SERVICES)]
        stage.build(*names)
        stage.record(*names)
        before, began = len(stage.kernel.calls), time.perf_counter()
        seen = stage.observe()
        took = time.perf_counter() - began
        calls = [call for call in stage.kernel.calls[before:] if call.caller.name == "Caretaker"]
    kinds = [each.kind for each in seen.resources.values()]
    assert kinds.count(Kind.LOAD_BALANCER) == SERVICES // SHARERS
    assert kinds.count(Kind.RULE) == SERVICES + SERVICES // SHARERS
    assert len(kinds) > 5_000
    assert {each.status for each in seen.readings} == {Read.WHOLE}
    # The twin throttles as AWS documents it: nothing was refused, and botocore had nothing to try again.
    assert not [call for call in calls if call.error]
    assert took < LIMIT, f"{took:.0f} seconds"
