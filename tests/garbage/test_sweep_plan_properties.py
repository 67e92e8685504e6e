"""What must hold of plans, of the last look before each step, and of proofs, on any fleet."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from caretaker.garbage import proof
from caretaker.garbage.check import check
from caretaker.garbage.model import Kind, Observation
from caretaker.garbage.plan import Plan, Step, plan
from caretaker.garbage.still import Halt, still
from disturbances import fleets
from garbage_fleet import KEEP_NOTHING, T0, Fleet
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from oracle import Oracle

QUICK = settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
LONG = settings(max_examples=800, deadline=None, suppress_health_check=list(HealthCheck))
APART = timedelta(minutes=15)


def planned(fleet: Fleet, cap: int = 1000) -> Plan:
    return plan(*fleet.judge_twice(KEEP_NOTHING), APART, cap)


def carry_out(fleet: Fleet, step: Step) -> None:
    """As AWS would."""
    if step.deletes:
        fleet.remove(step.target.arn, *step.takes)
    elif step.action.endswith(("SecurityGroupEgress", "SecurityGroupIngress")):
        (rule,) = step.params["SecurityGroupRuleIds"]
        fleet.references = [r for r in fleet.references if r.source != rule]
    elif step.action.endswith("Listener") or step.action.endswith("ListenerCertificates"):
        via = "default" if step.action.endswith("ModifyListener") else "listed"
        gone = (step.resource.arn, step.target.arn, via)
        fleet.references = [r for r in fleet.references if (r.source, r.target, r.via) != gone]
        balancer = step.resource.facts["load_balancer"]
        if not any(r.target == step.target.arn and r.source_kind is Kind.LISTENER for r in fleet.references):
            told = (balancer, step.target.arn)
            fleet.references = [r for r in fleet.references if (r.source, r.target) != told]


def sweeps(fleet: Fleet) -> None:
    """Each step of the plan finds that it may be taken, that nobody refers to what it deletes, and what is left in the
    end is not garbage."""
    judged = fleet.judge(KEEP_NOTHING)
    known = Oracle(fleet, judged.graph.observation, KEEP_NOTHING.of, judged.now).garbage()
    made = planned(fleet)
    for step in made.steps:
        live = fleet.observe("live", T0 + timedelta(minutes=5))
        stop = still(step, live, KEEP_NOTHING, live.ended)
        assert stop is None, f"{step.action} {step.target.arn}: {stop}"
        assert step.target.arn in known
        if step.deletes:
            assert not leaning(fleet, live, step), step.action
        carry_out(fleet, step)
    # What is left can only be a circle of things that refer to each other as AWS's own never do.
    assert set(fleet.judge(KEEP_NOTHING).garbage) <= set(made.waiting)
    assert all("none of them can go first" in reason for reason in made.waiting.values())


def leaning(fleet: Fleet, live: Observation, step: Step) -> list[str]:
    """Who still refers to what the step deletes, by the oracle; what goes along and circles that AWS allows aside."""
    oracle = Oracle(fleet, live, KEEP_NOTHING.of, live.ended)
    gone = {step.target.arn, *step.takes, *step.beside}
    into = (e for arn in (step.target.arn, *step.takes) for e in oracle.into(arn))
    return [e.source for e in into if oracle.home(e.part_of or e.source) not in gone]


@QUICK
@given(fleets(most=4))
def test_every_step_finds_its_referrers_gone_and_nothing_remains(fleet: Fleet) -> None:
    sweeps(fleet)


@pytest.mark.long
@LONG
@given(fleets(most=10))
def test_every_step_finds_its_referrers_gone_at_length(fleet: Fleet) -> None:
    sweeps(fleet)


@QUICK
@given(fleets(most=2), st.integers(0, 12))
def test_the_cap_is_kept_and_the_rest_waits(fleet: Fleet, cap: int) -> None:
    whole, capped = planned(fleet), planned(fleet, cap)
    assert sum(step.deletes for step in capped.steps) == min(cap, sum(step.deletes for step in whole.steps))
    assert capped.steps == whole.steps[: len(capped.steps)]
    assert not capped.steps or capped.steps[-1].deletes
    rest = {step.target.arn for step in whole.steps[len(capped.steps) :] if step.deletes}
    assert rest == set(capped.waiting)
    assert all("garbage.cap" in reason for reason in capped.waiting.values())


@QUICK
@given(fleets(most=3), fleets(most=3))
def test_only_what_is_garbage_twice_is_planned(one: Fleet, other: Fleet) -> None:
    first = one.judge(KEEP_NOTHING, "first", T0 - timedelta(minutes=20))
    second = other.judge(KEEP_NOTHING)
    made = plan(first, second, APART, 1000)
    targets = {step.target.arn for step in made.steps}
    assert targets <= first.garbage & second.garbage
    covered = {arn for step in made.steps for arn in (step.target.arn, *step.takes)}
    assert second.garbage <= covered | set(made.waiting)
    oracle = Oracle(other, second.graph.observation, KEEP_NOTHING.of, second.now)
    for arn in targets:
        assert not {oracle.home(e.part_of or e.source) for e in oracle.into(arn) if not oracle.loose(e)} & set(
            made.waiting
        )


@QUICK
@given(fleets(most=3), st.data())
def test_what_comes_in_between_is_seen_by_the_last_look(fleet: Fleet, data: st.DataObject) -> None:
    steps = [step for step in planned(fleet).steps if step.deletes]
    if not steps:
        return
    step = data.draw(st.sampled_from(steps))
    fleet.refer("their-new-thing", Kind.SERVICE, step.target.arn, "uses it")
    live = fleet.observe("live", T0 + timedelta(minutes=5))
    stop = still(step, live, KEEP_NOTHING, live.ended)
    assert stop is not None
    assert stop.halt in (Halt.SKIP, Halt.WAIT)


# --- proofs -----------------------------------------------------------------------------------------------------------


def leaves(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths to every value in a record."""
    if isinstance(node, dict | list):
        for key, value in node.items() if isinstance(node, dict) else enumerate(node):
            yield from leaves(value, (*path, key))
    else:
        yield path


def at(node: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        node = node[key]
    return node


def otherwise(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    return value + 1 if isinstance(value, int | float) else f"{value}x"


@QUICK
@given(fleets(most=3), st.data())
def test_each_step_is_proven_by_its_record_alone_and_no_part_of_it_can_be_changed(fleet, data) -> None:  # type: ignore[no-untyped-def]
    first, second = fleet.judge_twice(KEEP_NOTHING)
    steps = plan(first, second, APART, 1000).steps
    for step in data.draw(st.permutations(steps))[:4]:
        record = json.loads(json.dumps(proof.prove(step, first, second, APART).plain()))
        assert check(record) == [], step.action
        assert proof.read(record).plain() == record
    if steps:
        path = data.draw(st.sampled_from(list(leaves(record))))
        changed = copy.deepcopy(record)
        at(changed, path[:-1])[path[-1]] = otherwise(at(record, path))
        assert check(changed), path
