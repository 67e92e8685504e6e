"""Reads the inventory of an Express service, and records it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from caretaker.aws import ec2, ecs, logs
from caretaker.aws.errors import AwsFailure, Missing
from caretaker.aws.paging import Found
from caretaker.garbage import express
from caretaker.garbage.calls import Answer
from caretaker.garbage.inventory import Entry, Inventory, Item
from caretaker.garbage.ledger import Ledger
from caretaker.garbage.look import when
from caretaker.garbage.look_ecs import IN_FLIGHT
from caretaker.garbage.model import Identity, Kind, Life
from caretaker.runtime.clock import iso, parse

Json = Mapping[str, Any]
# CloudTrail tells the time of a creation to the second, or that of its call; nobody can delete a service and create it
# again in so short a time.
_SAME = timedelta(seconds=10)


@dataclass(frozen=True)
class Recorded:
    """What was recorded of a service.

    Attributes:
        entries: of all services that had the ARN, the oldest first.
        words: for the log.
        whole: nothing was left unread.
    """

    entries: tuple[Entry, ...]
    words: str
    whole: bool = True

    @property
    def vpcs(self) -> tuple[str, ...]:
        """Ids of their VPCs, as far as they are known."""
        return tuple(sorted({vpc for entry in self.entries for vpc in entry.vpcs}))


def services() -> list[str]:
    """ARNs of the Express services of all clusters that are not being deleted.

    Raises:
        AwsFailure: a listing could not be read.
    """
    return sorted({arn for cluster in ecs.list_clusters() for arn in ecs.express_services(cluster)})


def record(
    ledger: Ledger,
    arn: str,
    now: datetime,
    *,
    thorough: bool = True,
    deaths: bool = True,
    answer: Answer | None = None,
) -> Recorded:
    """Read the inventory of an Express service and add it to the ledger.

    What ECS does not know any more, or calls INACTIVE, is buried; of a service that was created again under the same
    name, the earlier one too. What could not be read leaves the ledger as it is, and the inventory says so.

    Args:
        thorough: read every deployment that ECS still knows, not only those that are in flight: after an event about
            the service, and for one that the ledger does not know. The patrol need not.
        deaths: write that a service is gone. False where `now` may be much earlier than the read, as the time of an
            event is: the grace would run from then. Its life is UNKNOWN then, until somebody reads with the right time.
        answer: to the creation that is told of: what is left to know of a service that is gone already.

    Raises:
        AwsFailure: ECS could not tell of the service at all; nothing was recorded.
        LedgerBusy: others write about the same service all the time.
    """
    known = ledger.of_service(arn)
    try:
        shown = ecs.express_service(arn)
    except Missing as error:
        words = f"ECS does not know it any more ({error.code})"
        return _gone(ledger, _with_answer(ledger, known, arn, now, answer), now, words, deaths=deaths)
    status, created = (shown.get("status") or {}).get("statusCode", ""), when(shown.get("createdAt"))
    known = _with_answer(ledger, known, arn, now, answer, created, over=status == "INACTIVE")
    earlier = [entry for entry in known if entry.owner.created < created]
    later = f"ECS knows a later service of that name, created at {created}"
    _gone(ledger, earlier, now, later, deaths=deaths)
    if status == "INACTIVE":
        same = [entry for entry in known if entry.owner.created == created]
        return _gone(ledger, same, now, "ECS says that it is INACTIVE", deaths=deaths)
    before = next((entry for entry in known if entry.owner.created == created), None)
    named = express.configurations(answer.service) if answer is not None and _same(answer.created, created) else []
    reader = _Reader(Identity(arn, created), iso(now), before, named=_arns(named, "serviceRevisionArn"))
    news = reader.read(shown, thorough=thorough or before is None)
    ledger.record(news)
    entries = tuple(ledger.of_service(arn))
    missing = f"; not read: {news.words}" if news.words else ""
    return Recorded(entries, f"{status}, {len(news.items)} resources{missing}", whole=not news.words)


def _with_answer(
    ledger: Ledger,
    known: list[Entry],
    arn: str,
    now: datetime,
    answer: Answer | None,
    created: str = "",
    *,
    over: bool = True,
) -> list[Entry]:
    """What is known of the services of an ARN, with the one whose creation was answered, if that is gone by now.

    A creation that fails may be taken back within seconds, long before CloudTrail tells of it: then ECS tells nothing
    of what it made, but it is still known that the service was, where, and since when it is not.

    Args:
        created: when the service that ECS knows now was created; empty if it knows none.
        over: that one is gone as well.
    """
    if answer is None or (not over and (_same(answer.created, created) or created < answer.created)):
        return known
    before = next((entry for entry in known if _same(entry.owner.created, answer.created)), None)
    if before is not None and (before.vpc or before.known):
        return known
    exact = created if created and _same(answer.created, created) else answer.created
    owner = before.owner if before is not None else Identity(arn, exact)
    ledger.record(_Reader(owner, iso(now), before).told(answer))
    return ledger.of_service(arn)


def _same(one: str, other: str) -> bool:
    """Whether two creation times of one ARN are those of one service."""
    return abs(parse(one, "created") - parse(other, "created")) <= _SAME


def _gone(ledger: Ledger, entries: Iterable[Entry], now: datetime, words: str, *, deaths: bool) -> Recorded:
    told: list[Entry] = []
    for entry in entries:
        if entry.life is Life.DEAD:
            told.append(entry)
        elif deaths:
            told.append(ledger.bury(entry.owner, iso(now), now, words))
        else:
            told.append(ledger.doubt(entry.owner, now, words))
    return Recorded(tuple(told), words)


@dataclass
class _Reader:
    """One reading of one service's inventory.

    Attributes:
        named: revisions that the answer to its creation named.
        doubts: what could not be read, in AWS's words.
    """

    owner: Identity
    at: str
    before: Entry | None
    named: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    items: dict[Identity, Item] = field(default_factory=dict)

    def read(self, shown: Json, *, thorough: bool) -> Inventory:
        status = shown["status"]["statusCode"]
        active = [each["serviceRevisionArn"] for each in express.configurations(shown)]
        flying, past = self._deployments(thorough=thorough)
        if status != "ACTIVE":
            # ECS names no configuration of a service that it deletes, and no deployment of one whose creation never
            # came to it; of a revision whose name is known it still tells what it has.
            past = [*past, *self.named, *self._remembered()]
        needed = {*active, *flying}
        arns = list(dict.fromkeys([*active, *flying, *past]))
        revisions = self._found(ecs.describe_service_revisions, arns, needed)
        # While it is drained, the last revisions are what it had.
        current = needed if status == "ACTIVE" else {*needed, *past}
        for each in revisions:
            self._of_revision(each, active=each["serviceRevisionArn"] in current)
        for each in express.configurations(shown):
            self._of_configuration(each)
        role = shown.get("infrastructureRoleArn", "")
        self._claim(role, Kind.ROLE, active)
        self._claim(express.cluster_of(self.owner.arn), Kind.CLUSTER, active, shared=True)
        vpcs = self._vpcs(shown, revisions)
        words = "; ".join(self.doubts)
        return Inventory(
            owner=self.owner,
            at=self.at,
            life=Life.ALIVE if status == "ACTIVE" else Life.DRAINING,
            vpc=next(iter(vpcs), ""),
            also=vpcs[1:],
            role=role,
            items=tuple(self.items[key] for key in sorted(self.items)),
            whole=not words and status == "ACTIVE",
            words=words,
        )

    def told(self, answer: Answer) -> Inventory:
        """What the answer to its creation tells; ECS tells nothing of it any more."""
        shown = answer.service
        for each in express.configurations(shown):
            self._of_configuration(each)
        revisions = _arns(express.configurations(shown), "serviceRevisionArn")
        role = shown.get("infrastructureRoleArn", "")
        self._claim(role, Kind.ROLE, revisions)
        self._claim(express.cluster_of(self.owner.arn), Kind.CLUSTER, revisions, shared=True)
        vpcs = self._vpcs(shown, [{"networkConfiguration": {"subnets": answer.subnets}}])
        words = "it was gone before its resources could be recorded: nobody knows which they are"
        return Inventory(
            owner=self.owner,
            at=self.at,
            life=Life.UNKNOWN,
            vpc=next(iter(vpcs), ""),
            also=vpcs[1:],
            role=role,
            items=tuple(self.items[key] for key in sorted(self.items)),
            whole=False,
            words="; ".join([words, *self.doubts]),
        )

    def _remembered(self) -> list[str]:
        """Revisions that the ledger knows."""
        known = self.before.known.values() if self.before is not None else ()
        return sorted({revision for each in known for revision in each.revisions if revision})

    # --- reading -----------------------------------------------------------------------------------------------------

    def _deployments(self, *, thorough: bool) -> tuple[list[str], list[str]]:
        """Revisions of deployments and rollbacks that are in flight, and of those that are over."""
        cluster = express.cluster_of(self.owner.arn)
        statuses = () if thorough else IN_FLIGHT
        try:
            briefly = ecs.list_service_deployments(cluster, self.owner.arn, statuses=statuses)
        except AwsFailure as error:
            self.doubts.append(str(error))
            return [], []
        arns = _arns(briefly, "serviceDeploymentArn")
        found = self._found(ecs.describe_service_deployments, arns, arns)
        flying: list[str] = []
        past: list[str] = []
        for item in found:
            (flying if item.get("status") in IN_FLIGHT else past).extend(express.revisions_of(item))
        return flying, past

    def _found(self, read: Any, arns: list[str], needed: Collection[str] = ()) -> list[Json]:
        if not arns:
            return []
        try:
            found: Found = read(arns)
        except AwsFailure as error:
            self.doubts.append(str(error))
            return []
        # ECS forgets what is over; what it says is active or in flight it must tell of.
        lost = [each for each in found.failures if each.reason != "MISSING" or each.arn in needed]
        self.doubts.extend(str(failure) for failure in lost)
        return list(found.items)

    def _vpcs(self, shown: Json, revisions: Iterable[Json]) -> tuple[str, ...]:
        """The VPCs in which it is: the one that it came to last, then others."""
        known = (self.before.vpc,) if self.before is not None and self.before.vpc else ()
        subnets = {subnet for each in express.configurations(shown) for subnet in express.subnets(each)}
        if not subnets and not known:
            subnets = {subnet for each in revisions for subnet in express.subnets(each)}
        if not subnets:
            return known
        try:
            found = ec2.describe_subnets(sorted(subnets))
        except AwsFailure as error:
            self.doubts.append(str(error))
            return known
        # While it moves, both revisions are active.
        return tuple(sorted({str(item["VpcId"]) for item in found}, key=lambda vpc: (vpc in known, vpc)))

    # --- claiming ----------------------------------------------------------------------------------------------------

    def _of_revision(self, item: Json, *, active: bool) -> None:
        revision = item["serviceRevisionArn"]
        others = express.gateway_resources(item)
        self._claim(item.get("taskDefinition") or "", Kind.TASK_DEFINITION, [revision], active=active)
        for each in express.managed(item):
            if each.arn not in others and each.status != "DELETED":
                self._claim(each.arn, each.kind, [revision], shared=each.shared, active=active)

    def _of_configuration(self, item: Json) -> None:
        revisions = [item["serviceRevisionArn"]]
        self._claim(item.get("taskDefinitionArn", ""), Kind.TASK_DEFINITION, revisions)
        self._claim(item.get("executionRoleArn", ""), Kind.ROLE, revisions)
        self._claim(item.get("taskRoleArn", ""), Kind.ROLE, revisions)
        self._claim(express.repository(item), Kind.REPOSITORY, revisions)

    def _claim(
        self, arn: str, kind: Kind, revisions: Iterable[str], *, shared: bool = False, active: bool = True
    ) -> None:
        if not arn:
            return
        identity = Identity(arn, self._created(arn) if kind is Kind.LOG_GROUP else "")
        before = self.items.get(identity, Item(identity, kind, shared, (), False))
        joined = tuple(sorted({*before.revisions, *revisions}))
        self.items[identity] = replace(before, revisions=joined, active=before.active or active)

    def _created(self, arn: str) -> str:
        """When a log group was made: another one of its name may follow it."""
        noted: list[Identity] = [*self.items, *(self.before.known if self.before else ())]
        known = [each.created for each in noted if each.arn == arn and each.created]
        if known:
            return known[0]
        try:
            group = logs.log_group(arn.partition(":log-group:")[2])
        except AwsFailure as error:
            self.doubts.append(str(error))
            return ""
        return when(logs.created(group)) if group else ""


def _arns(items: Iterable[Json], member: str) -> list[str]:
    return [item[member] for item in items if item.get(member)]
