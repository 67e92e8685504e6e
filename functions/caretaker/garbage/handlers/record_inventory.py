"""GarbageRecordInventory: records what an Express service has, as long as ECS tells it."""

from __future__ import annotations

from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any

from caretaker.aws import ecs
from caretaker.garbage import calls, inventories, requests
from caretaker.garbage.calls import Change
from caretaker.garbage.desk import cluster_of, name_of
from caretaker.garbage.express import cluster_of as cluster_arn_of
from caretaker.garbage.inventories import Recorded
from caretaker.garbage.ledger import Ledger
from caretaker.garbage.record import Records
from caretaker.garbage.requests import Wish
from caretaker.runtime import clock, logging
from caretaker.runtime.clock import iso
from caretaker.runtime.settings import Settings
from caretaker.runtime.table import Table, table

# Far longer than EventBridge and Lambda try to deliver an event.
_KEPT = timedelta(days=30)
_SK = "SEEN"


class InventoryIncomplete(Exception):
    """A part of the inventory could not be read; what could be is recorded, and Lambda runs the function again."""


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Record the inventory of the service that an event is about; of one that is deleted, ask for a sweep of its VPC.

    Args:
        event: of CloudTrail or of a deployment, or {"service": ARN, "now": ISO 8601}.

    Raises:
        AwsFailure: ECS could not tell of the service; Lambda runs the function again.
        InventoryIncomplete: see there.
    """
    settings = Settings.from_env()
    logging.bind()
    try:
        change = calls.read(event)
    except calls.BadCall as error:
        logging.logger().error(f"event refused: {error}")
        return {"recorded": ""}
    store = table(settings.table_name)
    if change is None or _seen(store, change):
        return {"recorded": ""}
    now = clock.entered(event) if change.kind == "asked" else clock.event_time(event)
    if not _is_express(change):
        return {"recorded": ""}
    deaths = change.kind == "asked"
    recorded = inventories.record(Ledger(store), change.service, now, deaths=deaths, answer=change.answer)
    logging.logger().info(f"{name_of(change.service)}: {recorded.words}", extra={"trigger": change.text})
    _tell(settings, store, change, recorded)
    if not recorded.whole:
        raise InventoryIncomplete(f"{change.service}: {recorded.words}")
    _remember(store, change, now)
    return {"recorded": change.service, "vpcs": list(recorded.vpcs), "words": recorded.words}


def _is_express(change: Change) -> bool:
    """Whether the service is one of Express Mode. Deployments are told of ordinary services too."""
    if change.kind != "deployed":
        return True
    found = ecs.describe_services(cluster_arn_of(change.service), [change.service]).items
    return any(item.get("resourceManagementType") == "ECS" for item in found)


def _tell(settings: Settings, store: Table, change: Change, recorded: Recorded) -> None:
    """Note the change on its VPC, for who is about to delete there; and ask for a sweep after a deletion.

    Services of clusters that Caretaker does not look after share load balancers with those of the others: they are
    recorded and noted too, and what they leave behind is not swept.
    """
    ours = fnmatchcase(cluster_of(change.service), settings.cluster_names)
    records = Records(store)
    for vpc in recorded.vpcs:
        if change.kind != "asked":
            records.changed(vpc)
        if change.kind == "deleted" and ours:
            text = f"{name_of(change.service)} is deleted: {change.text}"
            requests.begin(records, settings.sweep_machine(), vpc, Wish("deleted", text))


# --- events come more than once --------------------------------------------------------------------------------------


def _seen(store: Table, change: Change) -> bool:
    return bool(change.key) and store.get(f"CALL#{change.key}", _SK) is not None


def _remember(store: Table, change: Change, now: datetime) -> None:
    """Only what was dealt with to its end is remembered: what failed comes again."""
    if change.key:
        ttl = int((now + _KEPT).timestamp())
        store.put({"pk": f"CALL#{change.key}", "sk": _SK, "at": iso(now), "ttl": ttl})
