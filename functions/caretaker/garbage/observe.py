"""An observation of a VPC: everything that could refer to what Express Mode made there, read in parts.

One call reads one page. A part makes so many calls that each API's bucket stays half full for everybody else, and says
how long to wait until it is filled again; the next part goes on where this one ended. Nothing that AWS answers ends an
observation: what could not be read to its end is a reading that says so, in AWS's words.

    OBSERVATION#<id> / CURSOR              how far it is: number of its parts, names of its documents, begin and end
    OBSERVATION#<id> / CLAIMS-<digest>#…   what the ledger said when it began
    OBSERVATION#<id> / SHEET-<digest>#…    what was new in a part, and what was still to be read after it

A part writes only what is new, so that the work of an observation grows with what there is to read and not with its
square; and the environment of a function that has read one part knows what it needs for the next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from caretaker.aws.errors import AwsFailure, ConditionFailed, Denied, Invalid, Missing, Throttled, Unavailable
from caretaker.aws.listing import Page, page
from caretaker.aws.paging import MAX_PAGES, Failure
from caretaker.garbage import blobs, conclude, plain
from caretaker.garbage.inventory import Entry
from caretaker.garbage.ledger import Ledger
from caretaker.garbage.look import Look
from caretaker.garbage.looks import LOOKS, PHASES
from caretaker.garbage.model import Claim, Life, Observation, Read
from caretaker.garbage.pace import Pace
from caretaker.garbage.sheet import Sheet, Task
from caretaker.runtime.clock import iso, parse
from caretaker.runtime.table import Item, Table

# How often a call is tried again in a later part for which AWS was too busy, after botocore's own retries.
TRIES = 3
_KEPT = timedelta(days=30)


class ObservationMissing(Exception):
    """No such observation in the table; it has to be begun."""


class ObservationOpen(Exception):
    """The observation has not been read to its end."""


@dataclass(frozen=True)
class Progress:
    """How far an observation is.

    Attributes:
        more: there is more to read.
        seconds: to wait before the next part.
        calls: that this part made.
        left: pages that are known to be left; each may lead to more.
        doubts: readings so far that are not whole.
    """

    more: bool
    seconds: int
    calls: int
    left: int
    doubts: int


def name_of(sweep: str, number: int) -> str:
    """Name of a sweep's observation of that number."""
    return f"{sweep}/{number}"


def begun(table: Table, name: str) -> bool:
    """Whether the observation was begun."""
    return table.get(_pk(name), "CURSOR") is not None


def begin(table: Table, name: str, vpc: str, now: datetime, *, deep: bool = False) -> None:
    """Begin an observation; one that was begun already goes on as it is.

    Args:
        name: of the observation; a later one needs another name.
        vpc: the VPC whose resources are observed.
        deep: read what proves that nobody uses a log group, a task definition or a cluster, too: every active task
            definition of the account. For policies that may delete these.
    """
    if begun(table, name):
        return
    sheet = _begun(vpc, Ledger(table).entries(vpc), now, deep=deep)
    ttl = _ttl(now)
    cursor: Item = {
        "pk": _pk(name),
        "sk": "CURSOR",
        "part": 0,
        "claims": blobs.keep(table, _pk(name), "CLAIMS", [plain.claim(each) for each in sheet.claims], ttl),
        "sheets": [blobs.keep(table, _pk(name), "SHEET", sheet.plain(), ttl)],
        "vpc": vpc,
        "began": iso(now),
        "ended": "",
        "ttl": ttl,
    }
    try:
        table.put(cursor, condition="attribute_not_exists(#pk)")
    except ConditionFailed:
        return  # begun in between


def step(table: Table, name: str, now: datetime, remaining: Callable[[], int] | None = None) -> Progress:
    """Read the next part. Of an observation that has ended nothing is read.

    Args:
        remaining: milliseconds that the function still has (Lambda's context tells); without, only calls are counted.

    Raises:
        ObservationMissing: it was not begun.
        AwsFailure: of the table alone.
    """
    cursor = _cursor(table, name)
    if cursor["ended"]:
        return Progress(False, 0, 0, 0, 0)
    sheet = _taken(cursor) or _sheet(table, cursor, now)
    sheet.at = iso(now)
    before, pace = sheet.mark(), Pace(remaining)
    _run(sheet, pace, lambda: _claims(table, cursor))
    if not sheet.tasks:
        _tell_ledger(table, sheet, now)
    # Where another one has read the same part, it says whether there is more.
    more = bool(sheet.tasks) if _store(table, cursor, sheet, before, now) else True
    doubts = sum(1 for each in sheet.readings.values() if each.status is not Read.WHOLE)
    return Progress(more, pace.seconds if more else 0, pace.calls, len(sheet.tasks), doubts)


def load(table: Table, name: str) -> Observation:
    """The whole observation.

    Raises:
        ObservationMissing: it was not begun.
        ObservationOpen: it was not read to its end.
    """
    cursor = _cursor(table, name)
    if not cursor["ended"]:
        raise ObservationOpen(f"{name}: part {cursor['part']} was the last that was read; there is more")
    ended = parse(cursor["ended"], "ended")
    sheet = _sheet(table, cursor, ended)
    sheet.claims = _claims(table, cursor)
    return conclude.observation(sheet, name, parse(cursor["began"], "began"), ended)


def at_once(
    vpc: str, entries: Iterable[Entry], now: datetime, wait: Callable[[Progress], None], *, deep: bool = False
) -> Observation:
    """An observation for somebody who looks on: kept in no table, and nothing is written.

    Args:
        entries: what the ledger knows of the VPC.
        wait: is called between two parts, and returns after `Progress.seconds`.
    """
    sheet = _begun(vpc, entries, now, deep=deep)
    while True:
        pace = Pace(None)
        _run(sheet, pace, lambda: sheet.claims)
        if not sheet.tasks:
            return conclude.observation(sheet, "now", now, now)
        doubts = sum(1 for each in sheet.readings.values() if each.status is not Read.WHOLE)
        wait(Progress(True, pace.seconds, pace.calls, len(sheet.tasks), doubts))


def _begun(vpc: str, entries: Iterable[Entry], now: datetime, *, deep: bool) -> Sheet:
    """A sheet with what the ledger knows, and the first listings to be read."""
    known = list(entries)
    sheet = Sheet(vpc, iso(now), iso(now), deep=deep)
    sheet.owners = [entry.as_owner() for entry in known]
    sheet.claims = [claim for entry in known for claim in entry.claims()]
    sheet.read(*PHASES[0](sheet))
    return sheet


# --- reading ---------------------------------------------------------------------------------------------------------


def _run(sheet: Sheet, pace: Pace, claims: Callable[[], list[Claim]]) -> None:
    """Read what may be read now: in order, but past what has to wait for its bucket."""
    while not pace.over:
        place = next((n for n, each in enumerate(sheet.tasks) if pace.allows(LOOKS[each.look].listing.rate)), None)
        if place is None:
            if sheet.tasks or not _next_phase(sheet, claims):
                return
            continue
        task = sheet.tasks.pop(place)
        pace.took(LOOKS[task.look].listing.rate)
        _read(sheet, task, pace)


def _next_phase(sheet: Sheet, claims: Callable[[], list[Claim]]) -> bool:
    """Go on to the next phase in which there is something to read. Only the last one asks for the claims."""
    while sheet.phase + 1 < len(PHASES) and not sheet.tasks:
        sheet.phase += 1
        if sheet.phase + 1 == len(PHASES):
            sheet.claims = claims()
        sheet.read(*PHASES[sheet.phase](sheet))
    return bool(sheet.tasks)


# --- one call --------------------------------------------------------------------------------------------------------


def _read(sheet: Sheet, task: Task, pace: Pace) -> None:
    look = LOOKS[task.look]
    operation = look.listing.operation
    try:
        found = page(look.listing, task.params, task.token)
    except AwsFailure as error:
        if isinstance(error, Throttled):
            pace.throttled(look.listing.rate)
        _failed(sheet, task, look, error)
        return
    sheet.note(operation, task.scopes, Read.WHOLE, len(found.items))
    look.take(sheet, task, found)
    for failure in found.failures:
        if failure.reason not in look.skips:
            sheet.note(operation, _scopes(task, failure), Read.TRUNCATED, reason=f"failures: {failure}")
    asked = len(task.params.get(look.listing.batch[0], ()))
    answered = len(found.items) + len(found.failures)
    if answered < asked:
        reason = f"only {answered} of {asked} that were asked about were answered"
        sheet.note(operation, task.scopes, Read.TRUNCATED, reason=reason)
    _go_on(sheet, task, operation, found)


def _go_on(sheet: Sheet, task: Task, operation: str, found: Page) -> None:
    """The next page, if there is one; a listing that does not end is one that was not read to its end."""
    if not found.next:
        return
    if found.next == dict(task.token) or task.pages + 1 >= MAX_PAGES:
        reason = f"the listing did not end after {task.pages + 1} pages"
        sheet.note(operation, task.scopes, Read.TRUNCATED, reason=reason)
        return
    # The rest of a listing comes before everything else: its token may grow old.
    sheet.tasks.insert(0, replace(task, token=found.next, pages=task.pages + 1, tries=0))


def _failed(sheet: Sheet, task: Task, look: Look, error: AwsFailure) -> None:
    operation = look.listing.operation
    if look.none(error):
        sheet.note(operation, task.scopes, Read.WHOLE)
        return
    if isinstance(error, Throttled | Unavailable) and task.tries + 1 < TRIES:
        sheet.read(replace(task, tries=task.tries + 1))
        return
    halves = list(_halves(task, look))
    # One of the many that were asked about is gone: find out which. With a cluster all that was in it is gone.
    if halves and isinstance(error, Missing | Invalid) and error.code != "ClusterNotFoundException":
        sheet.read(*halves)
        return
    if isinstance(error, Missing) and look.missing_is_none:
        sheet.note(operation, task.scopes, Read.WHOLE)
        look.take(sheet, task, Page({}, [], {}, []))
        return
    status = Read.DENIED if isinstance(error, Denied) else Read.FAILED
    after = f" (after {task.pages} pages)" if task.pages else ""
    sheet.note(operation, task.scopes, status, reason=f"{error}{after}")


def _halves(task: Task, look: Look) -> Iterator[Task]:
    """A call that asked about several things, as two that ask about half of them each."""
    member, _ = look.listing.batch
    values = task.params.get(member, []) if member else []
    if len(values) < 2:
        return
    middle = len(values) // 2
    for part in (values[:middle], values[middle:]):
        # A scope is a value itself, begins it (a service's revisions carry its name) or is that of all.
        scopes = tuple(scope for scope in task.scopes if any(_belongs(value, scope) for value in part))
        yield replace(task, scopes=scopes or task.scopes, params={**task.params, member: part})


def _belongs(value: str, scope: str) -> bool:
    return value == scope or ("/" in value and _service_path(value) == _service_path(scope))


def _service_path(arn: str) -> str:
    """`cluster/service` of the ARN of a service, of its revisions and of its deployments."""
    return "/".join(arn.rpartition(":")[2].split("/")[1:3])


def _scopes(task: Task, failure: Failure) -> tuple[str, ...]:
    """The scopes that a failure of ECS's is about; all of the call's where that cannot be told."""
    return tuple(scope for scope in task.scopes if _belongs(failure.arn, scope)) or task.scopes


# --- being stored ----------------------------------------------------------------------------------------------------


def _pk(name: str) -> str:
    return f"OBSERVATION#{name}"


def _ttl(now: datetime) -> int:
    return int((now + _KEPT).timestamp())


def _cursor(table: Table, name: str) -> Item:
    cursor = table.get(_pk(name), "CURSOR")
    if cursor is None:
        raise ObservationMissing(f"observation: {name!r} is not in the table")
    return cursor


def _sheet(table: Table, cursor: Item, now: datetime) -> Sheet:
    return Sheet.of(_documents(table, cursor, "SHEET", cursor["sheets"]), iso(now))


def _claims(table: Table, cursor: Item) -> list[Claim]:
    (found,) = _documents(table, cursor, "CLAIMS", [cursor["claims"]])
    return [plain.claim_from(each) for each in found]


def _documents(table: Table, cursor: Item, kind: str, names: Sequence[str]) -> list[Any]:
    found = blobs.kept(table, cursor["pk"], kind, names)
    if missing := [name for name in names if name not in found]:
        raise ObservationMissing(f"{cursor['pk']}: its {missing[0]} is not in the table")
    return [found[name] for name in names]


# What this environment has read and stored itself, by where it lies: names hold digests, so nothing else can be there.
# Taken out while a part is read: after a failure, it is read from the table again. One at a time: an environment has
# memory for one.
_warm: dict[tuple[str, ...], Sheet] = {}


def _taken(cursor: Item) -> Sheet | None:
    """What is known of the observation as it stands, None if it is not; of another one nothing is known any more."""
    found = _warm.pop(_key(cursor), None)
    _warm.clear()
    return found


def _key(cursor: Item, *more: str) -> tuple[str, ...]:
    return (cursor["pk"], *cursor["sheets"], *more)


def _store(table: Table, cursor: Item, sheet: Sheet, before: Sheet, now: datetime) -> bool:
    """Write what is new beside the former parts, then turn to it: a function that dies in between reads it again.

    False where the same part was read twice at a time, and the other one was first.
    """
    kept = blobs.keep(table, cursor["pk"], "SHEET", sheet.plain(before), _ttl(now))
    try:
        table.update(
            cursor["pk"],
            "CURSOR",
            "SET #part = :next, #sheets = :sheets, #ended = :ended",
            condition="#part = :part",
            values={
                ":part": cursor["part"],
                ":next": cursor["part"] + 1,
                ":sheets": [*cursor["sheets"], kept],
                ":ended": "" if sheet.tasks else iso(now),
            },
        )
    except ConditionFailed:
        return False
    if sheet.tasks:
        _warm[_key(cursor, kept)] = sheet
    return True


def _tell_ledger(table: Table, sheet: Sheet, now: datetime) -> None:
    """Deaths that this observation has seen first: the grace runs from here."""
    ledger = Ledger(table)
    before = {each.identity: each.life for each in sheet.owners}
    for identity, owner in conclude.owners(sheet).items():
        if owner.life is Life.DEAD and before.get(identity, Life.DEAD) is not Life.DEAD:
            ledger.bury(identity, owner.since, now, owner.words)
