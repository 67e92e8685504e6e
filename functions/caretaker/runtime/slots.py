"""Slots: how many hosts of a cluster may be at work at once (policy `hosts.budget`).

One item per cluster, `CLUSTER#<arn>` / `SLOTS`: `holders` maps work to the number of its hosts, `total` is their sum.
Both change in one conditional write, so two executions can never take the same slot.
"""

from __future__ import annotations

from caretaker.aws.errors import ConditionFailed
from caretaker.runtime.table import Table

_SK = "SLOTS"


class SlotBusy(Exception):
    """Other work holds the slots of the cluster."""


def _pk(cluster: str) -> str:
    return f"CLUSTER#{cluster}"


def take(table: Table, cluster: str, work: str, hosts: int, budget: int) -> None:
    """Take `hosts` slots of a cluster's `budget`. Taking again what one holds is no change.

    Work of more hosts than the budget (which was lowered meanwhile) may go when it goes alone.

    Raises:
        SlotBusy: there is no room now; names who holds the slots.
    """
    room = max(0, budget - hosts)
    for _ in range(2):
        try:
            table.update(
                _pk(cluster),
                _SK,
                "SET #holders.#work = :hosts, #total = #total + :hosts",
                condition="attribute_exists(#total) AND attribute_not_exists(#holders.#work) AND #total <= :room",
                values={":hosts": hosts, ":room": room},
                names={"#work": work},
            )
        except ConditionFailed:
            held = holders(table, cluster)
            if held is None:
                _found(table, cluster)
                continue
            if work in held:
                return
            named = ", ".join(f"{name} ({count})" for name, count in sorted(held.items()))
            raise SlotBusy(f"{cluster}: {hosts} of {budget} slots wanted, held by {named}") from None
        else:
            return
    raise SlotBusy(f"{cluster}: the slots are being set up")


def _found(table: Table, cluster: str) -> None:
    try:
        table.put({"pk": _pk(cluster), "sk": _SK, "holders": {}, "total": 0}, condition="attribute_not_exists(#pk)")
    except ConditionFailed:
        return  # another execution was first


def release(table: Table, cluster: str, work: str) -> None:
    """Give the slots of `work` back; nothing happens if it holds none."""
    held = holders(table, cluster) or {}
    if work not in held:
        return
    try:
        table.update(
            _pk(cluster),
            _SK,
            "REMOVE #holders.#work SET #total = #total - :hosts",
            condition="#holders.#work = :hosts",
            values={":hosts": held[work]},
            names={"#work": work},
        )
    except ConditionFailed:
        return  # a retry of ourselves gave them back in between


def holders(table: Table, cluster: str) -> dict[str, int] | None:
    """Work and the number of slots that it holds; None when the cluster never had any."""
    item = table.get(_pk(cluster), _SK)
    return None if item is None else dict(item["holders"])
