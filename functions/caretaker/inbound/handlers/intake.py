"""InboundIntake: turns notices into claims, and starts the work of what it claimed.

Every record of a batch is read alone; then all of them are dealt with together, so that the pages of one notice, or
notices about hosts of one cluster, become one piece of work. What could not be read or done is reported record by
record, comes again, and after three times lies in the dead-letter queue.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from caretaker.aws import stepfunctions
from caretaker.aws.errors import AwsFailure
from caretaker.garbage.requests import NoAttemptLeft
from caretaker.inbound import bakes, decide, registry, resolve, sweeps
from caretaker.inbound.decide import Batch, Request
from caretaker.inbound.model import BadEvent, Closed, Deploys, Nothing, Notice, Place, Reading, Requested, SweepAsked
from caretaker.runtime import claims, clock, journal, logging, notices, policy_source, waits
from caretaker.runtime.claims import Claim, ClaimLost
from caretaker.runtime.settings import Settings
from caretaker.runtime.table import Table, table

# How often claims are read again after somebody else claimed a host in between.
_ROUNDS = 4


@dataclass(frozen=True)
class Letter:
    """A message that was read."""

    message: str
    readings: Sequence[Reading]
    received: datetime


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Deal with a batch of notices; answers which messages have to come again.

    The answer is made here and not by Powertools' batch processor, which deals with each record by itself (notices must
    be grouped) and costs as much import time as everything else of this function together.
    """
    settings = Settings.from_env()
    logging.bind()
    letters: list[Letter] = []
    failed: set[str] = set()
    for record in event["Records"]:
        letter = _read(record, Place(settings.region))
        if letter is None:
            failed.add(record["messageId"])
        else:
            letters.append(letter)
    if letters:
        intake = Intake(settings, table(settings.table_name), max(letter.received for letter in letters))
        failed.update(letter.message for letter in intake.deal(letters))
    return {"batchItemFailures": [{"itemIdentifier": message} for message in sorted(failed)]}


def _read(record: Mapping[str, Any], place: Place) -> Letter | None:
    """A message's letter; None, and one line in the log, for a message that cannot be read."""
    try:
        now = clock.received(record)
        return Letter(record["messageId"], registry.read_event(record["body"], place, now), now)
    except (BadEvent, clock.BadTime) as error:
        logging.logger().error(f"event refused: {error}", extra={"message_id": record["messageId"]})
        return None


def _about(reading: Reading) -> str:
    """What a reading is about: an instance, a VPC, a service, or nothing."""
    if isinstance(reading, Notice | Closed):
        return reading.instance
    if isinstance(reading, SweepAsked):
        return reading.vpc or reading.service
    return reading.service if isinstance(reading, Deploys | Requested) else ""


@dataclass
class Intake:
    """One invocation.

    Attributes:
        now: a moment that has passed (see `clock.received`).
        failed: instances and services about which not everything could be done.
    """

    settings: Settings
    table: Table
    now: datetime
    failed: set[str] = field(default_factory=set)

    def deal(self, letters: Sequence[Letter]) -> Iterator[Letter]:
        """Deal with everything that was read; yields the letters that have to come again."""
        for letter in letters:
            for reading in letter.readings:
                if isinstance(reading, Nothing):
                    logging.logger().info(f"nothing to do: {reading.reason}")
        self._close(reading for letter in letters for reading in letter.readings if isinstance(reading, Closed))
        self._ask([reading for letter in letters for reading in letter.readings if isinstance(reading, Notice)])
        self._bake([reading for letter in letters for reading in letter.readings])
        self._sweep([reading for letter in letters for reading in letter.readings])
        for letter in letters:
            if self.failed & {_about(reading) for reading in letter.readings}:
                yield letter

    def _fail(self, instances: Iterable[str], error: Exception) -> None:
        named = sorted(instances)
        logging.logger().error(f"{', '.join(named)}: {error}")
        self.failed.update(named)

    def _bake(self, readings: Iterable[Reading]) -> None:
        """Start the releases that deployments and requests stand for; each of them once."""
        asked = [reading for reading in readings if isinstance(reading, Deploys | Requested)]
        for reading in dict.fromkeys(asked):
            try:
                bakes.begin(reading, self.settings, self.table)
            except AwsFailure as error:
                self._fail([reading.service], error)

    def _sweep(self, readings: Iterable[Reading]) -> None:
        """Start the sweeps that are asked for; each of them once."""
        for reading in dict.fromkeys(reading for reading in readings if isinstance(reading, SweepAsked)):
            try:
                sweeps.begin(reading, self.settings, self.table)
            except (AwsFailure, NoAttemptLeft) as error:
                self._fail([_about(reading)], error)

    # --- notices that hold no longer ---------------------------------------------------------------------------------

    def _close(self, readings: Iterable[Closed]) -> None:
        for reading in readings:
            try:
                self._close_one(reading)
            except AwsFailure as error:
                self._fail([reading.instance], error)

    def _close_one(self, reading: Closed) -> None:
        notices.close(self.table, reading.key, reading.updated)
        claim = claims.find(self.table, [reading.instance]).get(reading.instance)
        known = claim is not None and reading.key in claim.notices
        logging.logger().info(f"notice closed: {reading.text}", extra={"known": known})
        if claim is None or not claim.open or not known:
            return
        if claims.leave(self.table, claim, reading.key, reading.text):
            waits.signal(self.table, waits.work_key(claim.work), stepfunctions.wake)
            logging.logger().info(f"work withdrawn: {reading.text}", extra={"work": claim.work})

    # --- notices -----------------------------------------------------------------------------------------------------

    def _ask(self, readings: list[Notice]) -> None:
        try:
            over = notices.closed(self.table, {notice.key for notice in readings})
        except AwsFailure as error:
            self._fail({notice.instance for notice in readings}, error)
            return
        valid = [notice for notice in readings if notice.key not in over or over[notice.key] < notice.updated]
        left = decide.merge(valid)
        for _ in range(_ROUNDS):
            if not left:
                return
            left = self._round(left)
        lost = ClaimLost(f"claims changed {_ROUNDS} times in a row")
        self._fail((request.instance for request in left), lost)

    def _round(self, requests: list[Request]) -> list[Request]:
        """Deal with requests; returns those whose claim changed in between."""
        try:
            found = claims.find(self.table, [request.instance for request in requests])
        except AwsFailure as error:
            self._fail((request.instance for request in requests), error)
            return []
        lost: list[Request] = []
        to_claim: list[Request] = []
        for request in requests:
            claim = found.get(request.instance)
            step = decide.step(request, claim)
            if claim is not None and step == "join":
                lost += self._join(request, claim)
            elif claim is not None and step == "repeated":
                text = f"{request.instance}: dealt with before: {claim.work} ended as {claim.status}"
                logging.logger().info(f"nothing to do: {text}", extra={"work": claim.work})
            else:
                to_claim.append(request)
        return lost + self._claim(to_claim, found)

    def _join(self, request: Request, claim: Claim) -> list[Request]:
        """Note notices on open work, and start its execution in case nobody could."""
        try:
            urgent = False
            nearer = request.deadline and (claim.deadline is None or request.deadline < claim.deadline)
            if nearer or not request.keys <= claim.standing:
                urgent = claims.join(self.table, claim, request.keys, request.deadline)
            # Whoever claimed the host may have died before it started the execution: same name, same input, no harm.
            work = journal.get_work(self.table, claim.work)
            stepfunctions.start(self.settings.machine(), work.name, work.input)
            if urgent:
                waits.signal(self.table, waits.work_key(work.name), stepfunctions.wake)
        except ClaimLost:
            return [request]
        except AwsFailure as error:
            self._fail([request.instance], error)
            return []
        words = f"deadline lowered to {request.deadline}" if urgent else "in work already"
        logging.logger().info(f"{request.instance}: {words}", extra={"work": claim.work})
        return []

    def _claim(self, requests: list[Request], found: dict[str, Claim]) -> list[Request]:
        """Claim hosts, cluster by cluster. Returns requests whose claim changed in between."""
        if not requests:
            return []
        by_instance = {request.instance: request for request in requests}
        try:
            members = resolve.find(by_instance, self.settings.cluster_names)
        except AwsFailure as error:
            self._fail(by_instance, error)
            return []
        by_cluster: dict[str, list[Request]] = defaultdict(list)
        for instance, request in by_instance.items():
            if instance in members:
                by_cluster[members[instance].cluster].append(request)
            else:
                text = f"{instance}: ignored: no container instance of a cluster that Caretaker looks after"
                logging.logger().info(text, extra={"trigger": request.trigger.text})
                logging.count("NoticeIgnored")
        lost: list[Request] = []
        for cluster, wanted in sorted(by_cluster.items()):
            lost += self._claim_in(cluster, wanted, found)
        return lost

    def _claim_in(self, cluster: str, requests: list[Request], found: dict[str, Claim]) -> list[Request]:
        name = resolve.cluster_name(cluster)
        try:
            policy = policy_source.load(self.table, self.settings.policy_path, name).hosts
        except AwsFailure as error:
            self._fail((request.instance for request in requests), error)
            return []
        by_instance = {request.instance: request for request in requests}
        lost: list[Request] = []
        for batch in decide.batches(cluster, policy, requests, found, self.now):
            named = [host.instance for host in batch.hosts]
            try:
                self._begin(batch)
            except ClaimLost:
                lost += [by_instance[instance] for instance in named]
            except AwsFailure as error:
                self._fail(named, error)
        return lost

    def _begin(self, batch: Batch) -> None:
        """Claim a batch, then start its work: a death in between is made up for by a redelivery."""
        work = claims.take(
            self.table,
            batch.hosts,
            cluster=batch.cluster,
            mode=batch.mode,
            trigger=batch.trigger,
            deadline=batch.deadline,
            start_at=batch.start_at,
            now=self.now,
        )
        extra = {"work": work.name, "hosts": list(work.hosts), "cluster": work.cluster, "mode": work.mode}
        if stepfunctions.start(self.settings.machine(), work.name, work.input):
            logging.logger().info(f"work begun: {work.trigger.text}", extra=extra)
        else:
            # The table has forgotten an execution of this name. The reaper finds the work without a running execution,
            # undoes what there is, and the next attempt has another name.
            logging.logger().error(f"{work.name}: an execution of this name has ended before", extra=extra)
