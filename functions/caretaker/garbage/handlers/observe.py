"""GarbageObserve: reads the next part of an observation of a VPC."""

from __future__ import annotations

from typing import Any

from caretaker.garbage import observe
from caretaker.garbage.desk import Desk, cluster_of, open_desk
from caretaker.garbage.ledger import Ledger
from caretaker.runtime import logging


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """One part. `next` is `observe` as long as there is more to read, in `seconds`, and `observed` then.

    Args:
        event: {"id": the sweep, "vpc", "number": of the observation, "now"}.

    Raises:
        SweepClosed: the sweep has ended.
        AwsFailure: of the table and of policy alone; what AWS answers about the VPC is kept as readings.
    """
    desk = open_desk(event)
    name = observe.name_of(desk.sweep.id, int(event["number"]))
    if not observe.begun(desk.records.table, name):
        observe.begin(desk.records.table, name, desk.sweep.vpc, desk.now, deep=_deep(desk))
    progress = observe.step(desk.records.table, name, desk.now, context.get_remaining_time_in_millis)
    logging.logger().info(
        f"{name}: {progress.calls} calls, {progress.left} pages left, {progress.doubts} readings not whole"
    )
    return {
        "observation": name,
        "next": "observe" if progress.more else "observed",
        "more": progress.more,
        "seconds": progress.seconds,
    }


def _deep(desk: Desk) -> bool:
    """Whether any cluster's policy may let log groups, task definitions or clusters go: these are proven by more
    reads."""
    from caretaker.runtime import policy_source

    arns = {entry.owner.arn for entry in Ledger(desk.records.table).entries(desk.sweep.vpc)}
    path = desk.settings.policy_path
    found = [
        policy_source.load(desk.records.table, path, cluster).garbage.cluster
        for cluster in sorted({cluster_of(arn) for arn in arns})
    ]
    return any("delete" in (each.log_groups, each.task_definitions, each.clusters) for each in found)
