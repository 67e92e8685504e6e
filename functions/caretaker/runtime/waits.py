"""Waits: an execution that waits for AWS, and the signals that wake it.

    WAIT#<work> / <state>            token, keys (outstanding), expires
    KEY#<key> / WAIT#<work>#<state>  one per key, so that a signal finds its waiters with one query

A key is a task ARN (fires on STOPPED, and on RUNNING), a container instance ARN (fires when a task on it is RUNNING), a
service ARN (fires on steady state and on a deployment's end), `INSTANCE#<EC2 instance id>` (fires when its container
instance is ACTIVE with the agent connected, or gone), or `WORK#<work>` (fires when intake changed the work itself).

The waiter registers, THEN looks once more, since the event may have come in between; what the second look finds done it
answers itself (`finish`, then SendTaskSuccess). A signal takes its key off conditionally and wakes the execution only
when no key is left. Waking is SendTaskFailure with the error `LookAgain`: the state catches it and enters itself again,
so that only the waiter, who has looked, can ever say that the condition holds. An extra or early wake costs one look.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from caretaker.aws.errors import ConditionFailed, TokenGone
from caretaker.runtime.clock import iso
from caretaker.runtime.table import Table, standing

Wake = Callable[[str], None]

# Waits left behind by executions that ended are removed by DynamoDB's TTL this long after they expired. Housekeeping
# only: nothing depends on it.
_KEEP = timedelta(days=1)


@dataclass(frozen=True)
class Signalled:
    """What a signal did: waiters found, executions woken, waits found stale and removed."""

    waiters: int = 0
    woken: int = 0
    stale: int = 0


def instance_key(instance_id: str) -> str:
    """The key of an EC2 instance as a host."""
    return f"INSTANCE#{instance_id}"


def work_key(work: str) -> str:
    """The key of the work itself."""
    return f"WORK#{work}"


def _pk(work: str) -> str:
    return f"WAIT#{work}"


def _index(key: str, work: str, state: str) -> tuple[str, str]:
    return f"KEY#{key}", f"WAIT#{work}#{state}"


def register(table: Table, work: str, state: str, token: str, keys: Iterable[str], expires: datetime) -> None:
    """Wait for `keys` in `state` with a task token, in place of an earlier wait of that state. Then look once more.

    Args:
        keys: what is outstanding; may be empty (nothing will wake the state but its own time-out).
        expires: when the state times out and looks again by itself.
    """
    wanted = frozenset(keys)
    former = _keys(table, work, state)
    until = int((expires + _KEEP).timestamp())
    wait = {"pk": _pk(work), "sk": state, "token": token, "expires": iso(expires), "ttl": until}
    table.put(wait | ({"keys": wanted} if wanted else {}))
    table.write_many(
        puts=[
            {"pk": pk, "sk": sk, "work": work, "state": state, "ttl": until}
            for pk, sk in (_index(key, work, state) for key in sorted(wanted))
        ],
        deletes=[_index(key, work, state) for key in sorted(former - wanted)],
    )


def _keys(table: Table, work: str, state: str) -> frozenset[str]:
    item = table.get(_pk(work), state)
    keys: frozenset[str] = item.get("keys", frozenset()) if item else frozenset()
    return keys


def finish(table: Table, work: str, state: str) -> None:
    """End a wait: its condition holds, or its state is left. Nothing happens if there is none."""
    keys = _keys(table, work, state)
    table.write_many(deletes=[(_pk(work), state), *(_index(key, work, state) for key in sorted(keys))])


def finish_all(table: Table, work: str) -> None:
    """End every wait of the work."""
    for item in table.query(_pk(work)):
        finish(table, work, item["sk"])


def signal(table: Table, key: str, wake: Wake) -> Signalled:
    """Say that `key` has happened. Most events concern nobody: one query, no more.

    Safe to repeat and to be cut short anywhere: the index item goes last, so a redelivered event finds it again; then
    the key is off already, and the execution is woken again if no key is left.

    Args:
        wake: `aws.stepfunctions.wake`: takes the token; raises `TokenGone` when nobody waits with it any more.
    """
    done = Signalled()
    for item in table.query(f"KEY#{key}"):
        done = _tell(table, key, item["work"], item["state"], wake, done)
    return done


def _tell(table: Table, key: str, work: str, state: str, wake: Wake, done: Signalled) -> Signalled:
    token, left = _take_off(table, key, work, state)
    woken, stale = done.woken, done.stale
    if token and not left:
        try:
            wake(token)
            woken += 1
        except TokenGone:
            _forget(table, work, state, token)
            stale += 1
    table.delete(*_index(key, work, state))
    return Signalled(done.waiters + 1, woken, stale)


def _take_off(table: Table, key: str, work: str, state: str) -> tuple[str, frozenset[str]]:
    """Take the key off the wait: its token ("" if there is no wait) and the keys that are left."""
    try:
        item = table.update(
            _pk(work),
            state,
            "DELETE #keys :set",
            condition="contains(#keys, :key)",
            values={":set": {key}, ":key": key},
        )
    except ConditionFailed as error:
        found = standing(error)
        if found is None:
            found = table.get(_pk(work), state)
        if found is None:
            return "", frozenset()
        # The key was off before: an earlier delivery may have died before it woke the execution.
        return found["token"], found.get("keys", frozenset())
    return item["token"], item.get("keys", frozenset())


def _forget(table: Table, work: str, state: str, token: str) -> None:
    """Remove a wait whose token nobody waits with, unless the state has registered anew meanwhile."""
    try:
        table.delete(_pk(work), state, condition="#token = :token", values={":token": token})
    except ConditionFailed:
        return
