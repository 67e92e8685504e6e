from __future__ import annotations

import pytest
from caretaker.aws.errors import TokenGone
from caretaker.runtime import waits
from caretaker.runtime.table import Table
from runtime_stage import after, clear, kill_points

STATE = "Wait for tasks"
TASK_1, TASK_2 = (f"arn:aws:ecs:us-east-1:123456789012:task/shop/{n}" for n in (1, 2))


class Tokens:
    """Task tokens as Step Functions knows them."""

    def __init__(self, *waiting: str) -> None:
        self.waiting = set(waiting)
        self.woken: list[str] = []

    def wake(self, token: str) -> None:
        if token not in self.waiting:
            raise TokenGone("SendTaskFailure", "TaskTimedOut", "Task Timed Out")
        self.waiting.remove(token)
        self.woken.append(token)


def register(store: Table, work: str, token: str, *keys: str, state: str = STATE) -> None:
    waits.register(store, work, state, token, keys, after(seconds=150))


def indexed(store: Table, key: str) -> int:
    return len(store.query(f"KEY#{key}"))


def test_an_execution_is_woken_when_no_key_is_left(store: Table) -> None:
    tokens = Tokens("t")
    register(store, "w", "t", TASK_1, TASK_2)
    assert waits.signal(store, TASK_1, tokens.wake) == waits.Signalled(waiters=1)
    assert tokens.woken == []
    assert waits.signal(store, TASK_2, tokens.wake) == waits.Signalled(waiters=1, woken=1)
    assert tokens.woken == ["t"]


def test_a_repeated_signal_counts_once(store: Table) -> None:
    tokens = Tokens("t")
    register(store, "w", "t", TASK_1, TASK_2)
    waits.signal(store, TASK_1, tokens.wake)
    assert waits.signal(store, TASK_1, tokens.wake).waiters == 0
    assert tokens.woken == []


def test_a_key_can_have_several_waiters(store: Table) -> None:
    tokens = Tokens("a", "b")
    register(store, "one", "a", TASK_1)
    register(store, "two", "b", TASK_1, TASK_2)
    assert waits.signal(store, TASK_1, tokens.wake) == waits.Signalled(waiters=2, woken=1)
    assert tokens.woken == ["a"]


def test_an_event_that_concerns_nobody_is_one_query(store: Table) -> None:
    assert waits.signal(store, TASK_1, Tokens().wake) == waits.Signalled()


def test_registering_anew_takes_the_place_of_the_former_wait(store: Table) -> None:
    tokens = Tokens("new")
    register(store, "w", "old", TASK_1, TASK_2)
    register(store, "w", "new", TASK_2)
    assert indexed(store, TASK_1) == 0
    waits.signal(store, TASK_2, tokens.wake)
    assert tokens.woken == ["new"]


def test_two_states_of_one_work_do_not_mix(store: Table) -> None:
    tokens = Tokens("a", "b")
    register(store, "w", "a", TASK_1, state="Wait for hosts")
    register(store, "w", "b", TASK_1, TASK_2)
    waits.signal(store, TASK_1, tokens.wake)
    assert tokens.woken == ["a"]


def test_a_stale_wait_is_removed(store: Table) -> None:
    register(store, "w", "timed out", TASK_1)
    assert waits.signal(store, TASK_1, Tokens().wake) == waits.Signalled(waiters=1, stale=1)
    assert store.get("WAIT#w", STATE) is None
    assert indexed(store, TASK_1) == 0


def test_a_finished_wait_leaves_nothing(store: Table) -> None:
    register(store, "w", "t", TASK_1, TASK_2)
    register(store, "w", "u", TASK_2, state="Wait for hosts")
    waits.finish(store, "w", STATE)
    assert indexed(store, TASK_1) == 0
    assert indexed(store, TASK_2) == 1
    waits.finish_all(store, "w")
    assert indexed(store, TASK_2) == 0
    assert store.query("WAIT#w") == []
    waits.finish(store, "w", STATE)


def test_a_wait_without_keys_is_only_timed(store: Table) -> None:
    register(store, "w", "t")
    assert store.get("WAIT#w", STATE) is not None
    waits.finish(store, "w", STATE)


@pytest.mark.parametrize("others", [(), (TASK_2,)])
def test_a_death_within_a_signal_never_loses_it(store: Table, others: tuple[str, ...]) -> None:
    """Whatever call it dies at, the event that comes again wakes the execution, or leaves that to the other keys."""
    tokens = Tokens("t")

    def act(table: Table) -> None:
        waits.signal(table, TASK_1, tokens.wake)

    register(store, "w", "t", TASK_1, *others)
    points = 0
    for _ in kill_points(store, act):
        points += 1
        waits.signal(store, TASK_1, tokens.wake)
        for key in others:
            assert tokens.woken == []
            waits.signal(store, key, tokens.wake)
        assert tokens.woken == ["t"]
        clear(store)
        tokens.waiting, tokens.woken = {"t"}, []
        register(store, "w", "t", TASK_1, *others)
    assert points >= 5


def test_a_failed_wake_is_repeated(store: Table) -> None:
    register(store, "w", "t", TASK_1)

    def broken(_token: str) -> None:
        raise ConnectionError

    with pytest.raises(ConnectionError):
        waits.signal(store, TASK_1, broken)
    tokens = Tokens("t")
    waits.signal(store, TASK_1, tokens.wake)
    assert tokens.woken == ["t"]


def test_a_signal_between_death_and_new_registration_is_not_mixed_up(store: Table) -> None:
    """A key that was taken off an old wait counts for the new one only if the new one still waits for it."""
    tokens = Tokens("new")
    register(store, "w", "old", TASK_1, TASK_2)
    waits.signal(store, TASK_1, tokens.wake)
    register(store, "w", "new", TASK_2)
    waits.signal(store, TASK_1, tokens.wake)
    assert tokens.woken == []
    waits.signal(store, TASK_2, tokens.wake)
    assert tokens.woken == ["new"]
