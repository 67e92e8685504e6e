"""How it stands with a service, by all that ECS may have said of it: only ECS's own word makes it dead."""

from __future__ import annotations

from typing import Any

import pytest
from caretaker.garbage import conclude
from caretaker.garbage.model import Identity, Life, Owner
from caretaker.garbage.sheet import Sheet

ARN = "arn:aws:ecs:us-east-1:123456789012:service/shop/web"
BEFORE, THEN, AFTER = "2026-10-01T00:00:00.000Z", "2026-10-02T00:00:00.000Z", "2026-10-03T00:00:00.000Z"
NOW = "2026-10-05T12:00:00.000Z"


def judged(known: Life = Life.ALIVE, since: str = "", **told: Any) -> Owner:
    sheet = Sheet("vpc-1", NOW, NOW)
    owner = Owner(Identity(ARN, THEN), known, since)
    sheet.owners = [owner]
    if told:
        sheet.service(ARN, told=True, **told)
    return conclude.owners(sheet)[owner.identity]


@pytest.mark.parametrize(
    ("told", "life"),
    [
        ({}, Life.UNKNOWN),
        ({"missing": True}, Life.DEAD),
        ({"by_name": "INACTIVE"}, Life.DEAD),
        ({"status": "INACTIVE", "created": THEN}, Life.DEAD),
        ({"status": "ACTIVE", "created": THEN}, Life.ALIVE),
        ({"status": "DRAINING", "created": THEN}, Life.DRAINING),
        ({"status": "ACTIVE", "created": AFTER}, Life.DEAD),
        # What was created earlier than the ledger's is no answer about it.
        ({"status": "ACTIVE", "created": BEFORE}, Life.UNKNOWN),
        # DescribeServices alone does not tell which service of the name it is.
        ({"by_name": "ACTIVE"}, Life.UNKNOWN),
        ({"by_name": "DRAINING"}, Life.UNKNOWN),
        # Of two answers the one that is more alive counts.
        ({"by_name": "INACTIVE", "status": "ACTIVE", "created": THEN}, Life.ALIVE),
        ({"missing": True, "status": "DRAINING", "created": THEN}, Life.DRAINING),
        ({"by_name": "INACTIVE", "status": "SLEEPING", "created": THEN}, Life.UNKNOWN),
    ],
)
def test_lives(told: dict[str, Any], life: Life) -> None:
    found = judged(**told)
    assert found.life is life
    assert found.words
    assert bool(found.since) == (life is Life.DEAD)


def test_a_death_that_the_ledger_knows_is_for_good_and_since_then() -> None:
    assert (judged(Life.DEAD, BEFORE).life, judged(Life.DEAD, BEFORE).since) == (Life.DEAD, BEFORE)
    assert judged(Life.DEAD, BEFORE, missing=True).since == BEFORE


def test_a_death_that_is_news_is_known_since_now() -> None:
    assert judged(by_name="INACTIVE").since == NOW


def test_a_service_that_the_ledger_buried_and_ecs_knows_alive_is_a_riddle() -> None:
    assert judged(Life.DEAD, BEFORE, status="ACTIVE", created=THEN).life is Life.UNKNOWN


def test_the_dead_do_not_move() -> None:
    assert not judged(by_name="INACTIVE", moving=True).moving
    assert judged(status="ACTIVE", created=THEN, moving=True).moving
