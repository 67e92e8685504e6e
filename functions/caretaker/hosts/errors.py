"""Errors by which the functions of replace_host tell its state machine what to do next.

    Exception
     └── ReplacementError     the machine's Retry and Catch know these by their class names
          ├── NoSlot               waited too long for a slot: undone
          ├── Withdrawn            the notice no longer holds: undone
          ├── InsufficientCapacity no place of the plan gave the hosts that it needs: undone
          ├── HostsNotReady        a launched host was not ready in time: undone
          ├── AgentAway            nothing but a host's agent is in the way: planned again
          ├── PlanWaits            something that passes by itself is in the way of the plan: looked at again
          ├── PlanChanged          the plan no longer holds on a second look: undone
          ├── ServiceChanged       somebody changed a service since the plan: undone
          ├── HostsChanged         somebody changed a host since the plan: undone
          ├── DrainStuck           tasks are left after the drain's time: undone
          └── UndoIncomplete       a step could not be taken back yet: the undo is run again

Further names that the machine knows come from `caretaker.runtime`: SlotBusy, WorkPassedReturn, WorkUndoing, WorkClosed.
The text of each is shown to people: what, why, and the ids.
"""

from __future__ import annotations

# Step Functions takes a cause of 32,768 characters, and would cut Lambda's JSON around a longer text in two.
MAX_TEXT = 8_000


class ReplacementError(Exception):
    """A named end of a step; `str()` is one line for people, of bounded length."""

    def __init__(self, text: str = "") -> None:
        super().__init__(text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 4] + " ...")


class NoSlot(ReplacementError):
    """No slot came free in time."""


class Withdrawn(ReplacementError):
    """The notice that the work is for no longer holds."""


class InsufficientCapacity(ReplacementError):
    """No place of the plan gave the hosts that it needs."""


class HostsNotReady(ReplacementError):
    """A launched host did not become ready within `ready_timeout`."""


class AgentAway(ReplacementError):
    """The agent of a host that goes is disconnected, and nothing else is in the way."""


class PlanWaits(ReplacementError):
    """Something is in the way of the plan that may pass by itself."""


class PlanChanged(ReplacementError):
    """The plan no longer holds on fresh state."""


class ServiceChanged(ReplacementError):
    """Somebody changed or deploys a service since the plan was made."""


class HostsChanged(ReplacementError):
    """Somebody changed a host since the plan was made."""


class DrainStuck(ReplacementError):
    """Tasks are left on a draining host after `drain_timeout`."""


class UndoIncomplete(ReplacementError):
    """A step could not be taken back yet."""
