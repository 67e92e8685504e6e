"""What became of work, in words: the outcome event and the message to people. Plain functions."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from caretaker.hosts.model import Plan, short
from caretaker.runtime import telling

# EventBridge takes 256 KB an entry, a state carries 256 KiB, and the detail is in both.
MAX_DETAIL = 100_000
# The message is in the state beside the detail; SNS takes 256 KB. So much is told of what stands in the way or stays
# behind.
MAX_TEXT = 60_000
MAX_LINES, MAX_LINE = 50, 500


@dataclass(frozen=True, slots=True)
class Ended:
    """Work that has ended.

    Attributes:
        work: name of the work.
        execution: ARN of the execution that reports.
        cluster: cluster ARN.
        hosts: EC2 instance ids.
        mode: observe or act.
        trigger: why it was done, in words.
        outcome: replaced, undone, blocked, planned, ignored or failed.
        reason: in words.
        left_behind: what is not as it was, in words.
        deadline: when the hosts go anyway.
        retry_at: when the next attempt is due.
        plan: what was decided, if it came to that.
    """

    work: str
    execution: str
    cluster: str
    hosts: tuple[str, ...]
    mode: str
    trigger: str
    outcome: str
    reason: str
    left_behind: tuple[str, ...] = ()
    deadline: datetime | None = None
    retry_at: datetime | None = None
    plan: Plan | None = None


def result_of(ended: Ended) -> dict[str, Any]:
    """Output of the execution."""
    return {
        "work": ended.work,
        "outcome": ended.outcome,
        "reason": ended.reason,
        "cluster": ended.cluster,
        "hosts": list(ended.hosts),
        "left_behind": _few(ended.left_behind),
        "deadline": _iso(ended.deadline),
        "retry_at": _iso(ended.retry_at),
    }


def event_of(ended: Ended) -> dict[str, Any]:
    """`detail_type` and `detail` of the outcome event, with the plan task by task as far as it fits."""
    detail = {**result_of(ended), "execution": ended.execution, "mode": ended.mode, "trigger": ended.trigger}
    if ended.plan is not None:
        room = MAX_DETAIL - _size(detail)
        detail["plan"] = plan_summary(ended.plan, room)
    return {"detail_type": f"Host Replacement {ended.outcome.capitalize()}", "detail": detail}


def plan_summary(plan: Plan, room: int = MAX_DETAIL) -> dict[str, Any]:
    """The plan for an event: a line per task, until `room` characters are used up; `tasks_omitted` counts the rest."""
    summary: dict[str, Any] = {
        "decision": plan.decision,
        "reason": plan.reason,
        "launches": [
            {
                "name": launch.name,
                "group": launch.option.group,
                "zone": launch.option.zone,
                "instance_type": launch.option.instance_type,
                "reason": launch.reason or launch.option.reason,
            }
            for launch in plan.launches
        ],
        "surges": [
            {
                "service": surge.service,
                "minimum_healthy_percent": surge.minimum,
                "maximum_percent": surge.maximum,
                "reason": surge.reason,
            }
            for surge in plan.surges
        ],
        "ends": [{"host": end.instance_id, "decrement": end.decrement, "reason": end.reason} for end in plan.ends],
        "obstacles": [
            {"kind": item.kind, "id": item.id, "reason": item.reason[:MAX_LINE]} for item in plan.obstacles[:MAX_LINES]
        ],
        "obstacles_omitted": max(0, len(plan.obstacles) - MAX_LINES),
        "notes": list(plan.notes),
        "tasks": [],
        "tasks_omitted": 0,
    }
    left = room - _size(summary)
    for index, move in enumerate(plan.moves):
        line = {
            "task": short(move.task),
            "service": move.service,
            "host": move.host,
            "how": move.how,
            "to": move.to,
            "reason": move.reason,
        }
        left -= _size(line) + 2
        if left < 0:
            summary["tasks_omitted"] = len(plan.moves) - index
            break
        summary["tasks"].append(line)
    return summary


def message_of(ended: Ended, *, told_before: bool = False) -> dict[str, str] | None:
    """Subject and text for people; None for outcomes that need nobody.

    Args:
        told_before: the attempt before this one ended in the same way for the same reason and was told. People are told
            again only when no further attempt follows.
    """
    if ended.outcome not in ("blocked", "undone", "failed") or (told_before and ended.retry_at is not None):
        return None
    subject = f"Caretaker: {_hosts(ended.hosts)} of {short(ended.cluster)}: {ended.outcome}"
    lines = [
        f"What: replacing {', '.join(ended.hosts)} of cluster {short(ended.cluster)} ended as {ended.outcome}.",
        f"Why the work was begun: {ended.trigger}",
        f"Why it ended so: {ended.reason}",
        *_obstacles(ended.plan if ended.outcome == "blocked" else None),
        *_list(
            "What stays behind", _few(ended.left_behind) or ("nothing; hosts, services and groups are as they were",)
        ),
        f"Next: {_next(ended)}",
        f"Work {ended.work}, execution {ended.execution}",
    ]
    return {"subject": telling.subject(subject), "text": _cut("\n".join(lines), MAX_TEXT)}


def _obstacles(plan: Plan | None) -> list[str]:
    return _list("In the way", _few([item.reason for item in plan.obstacles])) if plan and plan.obstacles else []


def _few(lines: Sequence[str]) -> list[str]:
    """The first lines, and how many more there are."""
    more = len(lines) - MAX_LINES
    return [line[:MAX_LINE] for line in lines[:MAX_LINES]] + ([f"and {more} more"] if more > 0 else [])


def _cut(text: str, most: int) -> str:
    """Text of at most so many bytes."""
    whole = text.encode()
    return text if len(whole) <= most else whole[: most - 4].decode(errors="ignore") + " ..."


def _list(title: str, items: Sequence[str]) -> list[str]:
    return [f"{title}:", *(f"- {item}" for item in items)]


def _next(ended: Ended) -> str:
    by = f" The hosts go at {_iso(ended.deadline)} at the latest." if ended.deadline else ""
    again = f" Caretaker tries again at {_iso(ended.retry_at)}." if ended.retry_at else " Caretaker does not try again."
    todo = {
        "blocked": "remove what is in the way, or replace the hosts yourself.",
        "undone": "look at the cause; nothing has to be repaired, unless something stays behind.",
        "failed": "take back what stays behind by hand; Caretaker could not.",
    }[ended.outcome]
    return todo + again + by


def _hosts(hosts: Sequence[str]) -> str:
    return hosts[0] if len(hosts) == 1 else f"{hosts[0]} and {len(hosts) - 1} more"


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat().replace("+00:00", "Z") if moment else None


def _size(data: Mapping[str, Any]) -> int:
    return len(json.dumps(data).encode())
