from __future__ import annotations

import tracemalloc

from caretaker.garbage import acts
from caretaker.garbage.acts import PATIENCE, Turn, turn
from caretaker.garbage.model import Kind
from caretaker.garbage.sweep import act_from, act_item
from sweep_cases import NOW, act, after, step


def test_a_step_comes_back_as_it_was_written() -> None:
    given = step(owners=("a",), takes=("b",), after=("c",), beside=("d",))
    assert acts.step_from(acts.plain_step(given)) == given


def test_an_act_comes_back_from_the_table_as_it_was_and_its_proof_opens_when_it_is_looked_into() -> None:
    given = act(7, proof={"version": 1, "first": {"readings": []}}, live={"at": "now"})
    found = act_from({"sk": "STEP#00007", **act_item(given)})
    assert found == given
    assert found.proof["first"] == {"readings": []}


def test_the_acts_of_the_largest_sweep_fit_into_a_function_and_their_keys_into_an_item() -> None:
    """Half a megabyte each, as with 500 living services, and as many acts as policy allows."""
    proof = {
        str(number): f"arn:aws:ecs:us-east-1:123456789012:service/shop/service-{number}" for number in range(7_000)
    }
    item = {"sk": "STEP#00001", **act_item(act(1, proof=proof))}
    tracemalloc.start()
    found = [act_from(item) for _ in range(750)]
    taken = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert taken < 20_000_000
    assert sum(len(each.key) for each in found) < 50_000
    assert len({act(number).key for number in range(1, 20)}) == 19


def test_acts_are_done_in_their_order_and_each_once_an_invocation() -> None:
    planned = [act(1), act(2)]
    assert turn(planned, NOW).act == planned[0]
    assert turn(planned, NOW, tried=[1]).act == planned[1]
    assert turn([act(1, status="done"), planned[1]], NOW).act == planned[1]
    assert turn([act(1, status="done"), act(2, status="refused")], NOW).over


def test_what_has_to_wait_holds_up_nothing_that_aws_guards() -> None:
    waits, free = act(1, due=after(seconds=40)), act(2)
    assert turn([waits, free], NOW).act == free
    assert turn([waits, free], NOW, tried=[2]) == Turn(None, 40)
    assert turn([waits], after(seconds=40)).act == waits


def test_a_load_balancer_waits_until_everything_before_it_is_over() -> None:
    balancer = act(2, Kind.LOAD_BALANCER)
    assert turn([act(1, due=after(seconds=40)), balancer], NOW) == Turn(None, 40)
    assert turn([act(1, status="refused"), balancer], NOW).act == balancer
    group = act(3, Kind.SECURITY_GROUP)
    assert turn([act(1, due=after(seconds=40)), balancer, group], NOW) == Turn(None, 40)


def test_an_intent_without_answer_has_its_turn_again() -> None:
    unanswered = act(1, status="intended", tries=1)
    assert turn([unanswered], NOW).act == unanswered


def test_each_try_comes_later_up_to_a_limit() -> None:
    pauses = [acts.pause(tries).total_seconds() for tries in range(1, 8)]
    assert pauses == [30, 60, 120, 240, 300, 300, 300]
    assert acts.pause(10_000).total_seconds() == 300


def test_patience_ends_with_the_first_try_not_the_last() -> None:
    held = act(1, first=NOW, at=after(minutes=40), tries=9)
    assert not acts.too_late(held, NOW + PATIENCE / 2)
    assert acts.too_late(held, NOW + PATIENCE)
    assert not acts.too_late(act(1), after(days=1))
