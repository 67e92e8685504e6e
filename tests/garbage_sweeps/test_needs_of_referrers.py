"""Whatever a reading can show of who refers to a resource, the resource needs: a referrer that was not read is a doubt.

What readings show is collected from the observations of random fleets, not from the table of needs.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import pytest
from caretaker.garbage import conclude, observe
from caretaker.garbage.looks import LOOKS
from caretaker.garbage.model import Kind
from caretaker.garbage.needs import NEEDS
from caretaker.garbage.pace import Pace
from caretaker.garbage.sheet import Sheet, Task

from tests.garbage_sweeps.fleet_case import run

SEEDS = (3, 8, 1930)
TELLING = {
    ("cloudwatch:DescribeAlarms", Kind.TARGET_GROUP),
    ("cloudwatch:DescribeAlarms", Kind.LOAD_BALANCER),
    ("elasticloadbalancing:DescribeRules", Kind.TARGET_GROUP),
    ("ec2:DescribeNetworkInterfaces", Kind.SECURITY_GROUP),
}


def test_what_shows_a_referrer_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    named: dict[str, set[str]] = defaultdict(set)
    shown: set[tuple[str, Kind]] = set()
    read, concluded = observe._read, conclude.observation

    def reading(sheet: Sheet, task: Task, pace: Pace) -> None:
        before = len(sheet.references)
        read(sheet, task, pace)
        for each in list(sheet.references)[before:]:
            named[each.target].add(LOOKS[task.look].listing.operation)

    def concluding(sheet: Sheet, *given: Any) -> Any:
        for target, operations in named.items():
            resource = sheet.resources.get(sheet.names.get(target, target))
            shown.update((each, resource.kind) for each in operations if resource is not None)
        return concluded(sheet, *given)

    monkeypatch.setattr(observe, "_read", reading)
    monkeypatch.setattr(conclude, "observation", concluding)
    for seed in SEEDS:
        with monkeypatch.context() as patch:
            run(seed, patch)
    assert shown >= TELLING
    needed = {(need.operation, kind) for kind, needs in NEEDS.items() for need in needs}
    assert sorted((operation, str(kind)) for operation, kind in shown - needed if kind in NEEDS) == []
