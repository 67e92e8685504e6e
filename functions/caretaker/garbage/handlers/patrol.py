"""Look for garbage that no event told of: record every Express service, and ask for the sweeps that are due."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from caretaker.aws.errors import AwsFailure
from caretaker.garbage import dues, inventories, requests
from caretaker.garbage.desk import policies_of
from caretaker.garbage.inventory import Entry
from caretaker.garbage.ledger import UNPLACED, Ledger, LedgerBusy
from caretaker.garbage.model import Kind, Life
from caretaker.garbage.record import Records
from caretaker.garbage.requests import Wish
from caretaker.runtime import clock, logging
from caretaker.runtime.clock import iso
from caretaker.runtime.policy import GarbagePolicy
from caretaker.runtime.settings import Settings
from caretaker.runtime.table import table

_OPTIONAL = {
    Kind.LOG_GROUP: "log_groups",
    Kind.TASK_DEFINITION: "task_definitions",
    Kind.CLUSTER: "clusters",
}


# Milliseconds that are kept for asking for sweeps, and for the service that is looked at when no more are left.
_FOR_SWEEPS = 100_000


class NotAllPatrolled(Exception):
    """Some services or VPCs could not be looked at; Lambda runs the function again. `str()` names them."""


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Record the inventories of all Express services, then begin a sweep for every VPC where something may be left.

    A run that has no time left asks for the sweeps all the same; Lambda runs the function again, and that run, as the
    next day's, goes on with the services that were looked at the longest ago.

    Raises:
        AwsFailure: of the table or policy.
        NotAllPatrolled: says what could not be looked at, and why.
    """
    settings = Settings.from_env()
    logging.bind()
    patrol = Patrol(settings, Records(table(settings.table_name)), clock.event_time(event))
    patrol.record(lambda: context.get_remaining_time_in_millis() > _FOR_SWEEPS)
    begun = patrol.begin()
    if patrol.failed:
        raise NotAllPatrolled("; ".join(patrol.failed))
    return {"begun": begun}


class Patrol:
    """One run.

    Attributes:
        failed: what could not be looked at, and why.
    """

    def __init__(self, settings: Settings, records: Records, now: datetime) -> None:
        self.settings = settings
        self.records = records
        self.ledger = Ledger(records.table)
        self.now = now
        self.failed: list[str] = []

    def record(self, has_time: Callable[[], bool]) -> None:
        """Every service that ECS lists, and every one of the ledger that is not known to be gone: those first that
        nobody has looked at for the longest time. What was looked at since the patrol was due is not looked at again,
        unless something could not be read then.
        """
        due = self._due()
        for place, arn in enumerate(due):
            if not has_time():
                self.failed.append(f"no time was left for {len(due) - place} services: the next run goes on with them")
                return
            self._record(arn)

    def _record(self, arn: str) -> None:
        try:
            # The schedule's time may be hours ago: when a service died, the sweep finds out.
            recorded = inventories.record(self.ledger, arn, self.now, thorough=False, deaths=False)
        except (AwsFailure, LedgerBusy) as error:
            self.failed.append(f"{arn}: {error}")
            return
        if not recorded.whole:
            # What an update has retired shows in a whole inventory alone.
            self.failed.append(f"{arn}: {recorded.words}")
        logging.logger().debug(f"{arn}: {recorded.words}")

    def _due(self) -> list[str]:
        told = dict.fromkeys(self._listed(), "")
        doubtful = set()
        for entry in self._entries():
            if entry.life is not Life.DEAD:
                told[entry.owner.arn] = max(told.get(entry.owner.arn, ""), entry.at)
                doubtful |= {entry.owner.arn} if entry.words else set()
        due = (arn for arn, at in told.items() if at < iso(self.now) or arn in doubtful)
        return sorted(due, key=lambda arn: (told[arn], arn))

    def _listed(self) -> list[str]:
        try:
            return inventories.services()
        except AwsFailure as error:
            self.failed.append(f"the services could not be listed: {error}")
            return []

    def _entries(self) -> list[Entry]:
        places = [*self.ledger.vpcs(), UNPLACED]
        found = {entry.owner: entry for place in places for entry in self.ledger.entries(place)}
        return [found[owner] for owner in sorted(found)]

    def begin(self) -> dict[str, str]:
        """Ask for the sweep of every VPC in which something may be left. Returns what was done, by VPC."""
        done: dict[str, str] = {}
        for vpc in self.ledger.vpcs():
            entries = self.ledger.entries(vpc)
            policies = policies_of(self.settings, self.records, {entry.owner.arn for entry in entries})
            left = [each for each in entries if dues.may_leave(each, _loud(policies.get(each.owner.arn)))]
            if not left:
                continue
            text = f"the patrol found {len(left)} services that may have left something"
            try:
                done[vpc] = requests.begin(self.records, self.settings.sweep_machine(), vpc, Wish("patrol", text))
            except (AwsFailure, requests.NoAttemptLeft) as error:
                self.failed.append(f"{vpc}: {error}")
        return done


def _loud(policy: GarbagePolicy | None) -> list[Kind]:
    """Kinds that the policy lets go although most keep them."""
    if policy is None:
        return []
    return [kind for kind, name in _OPTIONAL.items() if getattr(policy, name) == "delete"]
