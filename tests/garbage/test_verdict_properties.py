"""What must hold of verdicts on any fleet, whatever happened to it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from caretaker.garbage import slices
from caretaker.garbage.model import Life, Word
from caretaker.garbage.standing import Keep
from caretaker.garbage.verdict import Judgement
from disturbances import ADDITIONS, fleets
from garbage_fleet import KEEP, KEEP_NOTHING, Fleet
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from oracle import Oracle

QUICK = settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
LONG = settings(max_examples=2000, deadline=None, suppress_health_check=list(HealthCheck))
KEEPS = st.sampled_from((KEEP, KEEP_NOTHING))


def agrees(fleet: Fleet, keep: Keep) -> None:
    judged = fleet.judge(keep)
    expected = Oracle(fleet, judged.graph.observation, keep.of, judged.now).garbage()
    assert set(judged.garbage) == expected


@QUICK
@given(fleets(), KEEPS)
def test_garbage_is_what_the_oracle_finds_by_walking_back(fleet: Fleet, keep: Keep) -> None:
    agrees(fleet, keep)


@pytest.mark.long
@LONG
@given(fleets(most=12), KEEPS)
def test_garbage_is_what_the_oracle_finds_at_length(fleet: Fleet, keep: Keep) -> None:
    agrees(fleet, keep)


@QUICK
@given(fleets(), KEEPS)
def test_every_verdict_says_why_and_no_garbage_has_a_holder_or_doubt(fleet: Fleet, keep: Keep) -> None:
    judged = fleet.judge(keep)
    for arn, verdict in judged.verdicts.items():
        assert verdict.reason, arn
        if verdict.word is Word.GARBAGE:
            assert not verdict.holding
            assert not verdict.doubts
            assert verdict.owners or judged.graph.whole_of(arn) != arn
        if verdict.word is Word.GARBAGE and judged.graph.whole_of(arn) == arn:
            assert arn in judged.garbage


@QUICK
@given(fleets(most=4), KEEPS, st.lists(st.sampled_from(ADDITIONS), min_size=1, max_size=4), st.data())
def test_another_referrer_or_doubt_never_makes_more_garbage(fleet, keep, added, data) -> None:  # type: ignore[no-untyped-def]
    before = fleet.judge(keep).garbage
    for disturb in added:
        disturb(fleet, data.draw)
    assert fleet.judge(keep).garbage <= before


@QUICK
@given(fleets(most=4), KEEPS, st.data())
def test_a_living_owner_more_never_makes_more_garbage(fleet, keep, data) -> None:  # type: ignore[no-untyped-def]
    fleet.references = [r for r in fleet.references if r.via != "default"]  # a living one's certificate frees these
    before = fleet.judge(keep).garbage
    arn = data.draw(st.sampled_from(sorted(fleet.resources)))
    fleet.claim(fleet.owner("new", Life.ALIVE), arn)
    after = fleet.judge(keep).garbage
    assert after <= before
    assert arn not in after


@QUICK
@given(fleets(most=4), KEEPS)
def test_a_service_that_comes_back_to_life_never_makes_more_garbage(fleet: Fleet, keep: Keep) -> None:
    fleet.references = [r for r in fleet.references if r.via != "default"]
    before = fleet.judge(keep).garbage
    for identity, owner in sorted(fleet.owners.items()):
        if owner.life is Life.DEAD:
            fleet.owners[identity] = replace(owner, life=Life.ALIVE, since="", moving=True)
            assert fleet.judge(keep).garbage <= before


@QUICK
@given(fleets(most=3))
def test_a_slice_of_an_observation_gives_the_same_verdict(fleet: Fleet) -> None:
    judged = fleet.judge(KEEP_NOTHING)
    for arn in sorted(judged.garbage):
        part = Judgement(slices.cut(judged, arn), KEEP_NOTHING, judged.now)
        assert arn in part.garbage, part.verdicts[arn].reason
