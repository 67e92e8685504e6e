"""Which of an Express service's two target groups is the new revision's."""

from __future__ import annotations

from typing import Any

import pytest
from caretaker.releases.express import Ingress, ingress, told_apart

FOUND = Ingress("rule", ("one", "two"))


def revision(**path: Any) -> dict[str, Any]:
    whole = {"rule": {"arn": "rule"}, "targetGroups": [{"arn": "one"}, {"arn": "two"}], **path}
    return {"ecsManagedResources": {"ingressPaths": [whole]}}


def test_the_ingress_of_an_express_service() -> None:
    assert ingress(revision()) == FOUND


@pytest.mark.parametrize(
    "item",
    [
        {},
        {"ecsManagedResources": {"ingressPaths": []}},
        revision(rule={"status": "PROVISIONING"}),
        revision(targetGroups=[{"arn": "one"}, {"status": "PROVISIONING"}]),
    ],
)
def test_other_services_and_unfinished_ones_have_none(item: dict[str, Any]) -> None:
    assert ingress(item) is None


@pytest.mark.parametrize(
    ("weights", "asked", "groups"),
    [
        ((100, 0), 0.0, ("two", "one")),
        ((0, 100), 0.0, ("one", "two")),
        ((5, 95), 0.05, ("one", "two")),
        ((0, 100), 1.0, ("two", "one")),
        ((1, 0), 0.0, ("two", "one")),
    ],
)
def test_weights_tell(weights: tuple[int, int], asked: float, groups: tuple[str, str]) -> None:
    assert told_apart(FOUND, dict(zip(FOUND.groups, weights, strict=True)), asked) == groups


@pytest.mark.parametrize(
    ("weights", "asked"),
    [
        ({"one": 100, "two": 0}, 0.05),  # ECS asked for 5 %, and somebody has set the weights back
        ({"one": 50, "two": 50}, 0.5),
        ({"one": 0, "two": 0}, 0.0),
        ({"one": 100}, 1.0),
        ({"one": 95, "two": 5, "three": 0}, 0.05),
        ({}, 0.0),
    ],
)
def test_other_weights_tell_nothing(weights: dict[str, int], asked: float) -> None:
    assert told_apart(FOUND, weights, asked) is None
