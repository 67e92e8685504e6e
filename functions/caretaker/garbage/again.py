"""Looks once more at what an act names, right before its call.

What does not exist any more is no failure here: AWS's own "not found" is the answer that it is gone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime

from caretaker.aws import elbv2
from caretaker.aws.errors import AwsFailure, Denied, Missing, Throttled, Unavailable
from caretaker.aws.listing import page
from caretaker.aws.paging import MAX_PAGES
from caretaker.garbage import conclude, look_balancers, look_deep, look_ecs, look_network, look_others, look_scaling
from caretaker.garbage.ledger import Ledger
from caretaker.garbage.look import batched
from caretaker.garbage.looks import LOOKS
from caretaker.garbage.model import Kind, Observation, Read, Resource
from caretaker.garbage.plan import Step
from caretaker.garbage.sheet import Sheet, Task
from caretaker.runtime.clock import iso
from caretaker.runtime.table import Table

_BALANCING = (Kind.RULE, Kind.TARGET_GROUP, Kind.LISTENER, Kind.LOAD_BALANCER)
_SCALING = (Kind.SCALABLE_TARGET, Kind.SCALING_POLICY, Kind.ALARM)


def look(step: Step, table: Table, vpc: str, now: datetime) -> Observation:
    """What there is now of the step's resources: themselves, who refers to them, and how their owners are.

    Raises:
        Throttled, Unavailable: AWS could not say; to be tried again.
    """
    entries = Ledger(table).entries(vpc)
    owners, claims = [each.as_owner() for each in entries], [claim for each in entries for claim in each.claims()]
    sheet = Sheet(vpc, iso(now), iso(now), owners=owners, claims=claims)
    both = {each.arn: each for each in (step.target, step.resource)}.values()
    _read_all(sheet, [task for each in both for task in _tasks(each)])
    if step.target.kind is Kind.SCALING_POLICY:
        _read_all(sheet, list(_tags_beside(sheet, step.target)))
    _read_all(sheet, list(_owners(step)))
    _read_all(sheet, list(look_ecs.of_deployments(sheet)))
    _read_all(sheet, list(look_ecs.of_revisions(sheet)))
    return conclude.observation(sheet, f"before {step.action}", now, now)


def balancer(resource: Resource, vpc: str, now: datetime) -> Sheet:
    """What there is now on one load balancer: its listeners and their rules."""
    sheet = Sheet(vpc, iso(now), iso(now))
    _read_all(sheet, [Task("listeners", (resource.arn,), {"LoadBalancerArn": resource.arn})])
    return sheet


def _owners(step: Step) -> Iterator[Task]:
    """The services that left the target behind: one that lives is asked what it has now."""
    for arn in step.owners:
        cluster = arn.partition(":service/")[2].partition("/")[0]
        yield Task("service by name", (arn,), {"cluster": cluster, "services": [arn]})
        yield from look_ecs.express_reads(arn)


def _tasks(resource: Resource) -> list[Task]:
    tasks = list(_OF_KIND[resource.kind](resource))
    if resource.kind in _BALANCING:
        tasks += batched("tags", elbv2.DESCRIBE_TAGS, [resource.arn])
    return tasks


def _rule(resource: Resource) -> Iterator[Task]:
    listener = resource.facts["listener"]
    yield Task("rules", (listener,), {"ListenerArn": listener})


def _target_group(resource: Resource) -> Iterator[Task]:
    yield Task("target groups")
    yield look_balancers.target_health(resource.arn)


def _listener(resource: Resource) -> Iterator[Task]:
    """A listener that loses a certificate, with its load balancer, whose tags count too."""
    owner = resource.facts["load_balancer"]
    yield Task("listeners", (owner,), {"LoadBalancerArn": owner})
    yield from batched("tags", elbv2.DESCRIBE_TAGS, [owner])


def _certificate(resource: Resource) -> Iterator[Task]:
    yield Task("certificates")
    yield from look_others.certificate(resource.arn)


def _scaling(resource: Resource) -> Iterator[Task]:
    yield from look_scaling.opening()
    if resource.kind is Kind.ALARM:
        yield Task("alarm tags", (resource.arn,), {"ResourceARN": resource.arn})
    elif resource.kind is Kind.SCALABLE_TARGET:
        yield Task("scalable target tags", (resource.arn,), {"ResourceARN": resource.arn})


def _tags_beside(sheet: Sheet, policy: Resource) -> Iterator[Task]:
    """A scaling policy has no tags: those of its scalable target count, and of the alarms that go with it."""
    for arn, owner in sorted(sheet.tracking.items()):
        if owner == policy.arn:
            yield Task("alarm tags", (arn,), {"ResourceARN": arn})
    for each in sheet.resources.values():
        if each.kind is Kind.SCALABLE_TARGET and each.facts["resource_id"] == policy.facts["resource_id"]:
            yield Task("scalable target tags", (each.arn,), {"ResourceARN": each.arn})


def _security_group(resource: Resource) -> Iterator[Task]:
    yield from look_network.opening(resource.vpc)


def _log_group(resource: Resource) -> Iterator[Task]:
    yield from look_others.log_group(resource.arn)


def _definition(resource: Resource) -> Iterator[Task]:
    yield look_deep.definition(resource.arn, resource.arn)


_OF_KIND: dict[Kind, Callable[[Resource], Iterator[Task]]] = {
    Kind.RULE: _rule,
    Kind.TARGET_GROUP: _target_group,
    Kind.LISTENER: _listener,
    Kind.CERTIFICATE: _certificate,
    Kind.SCALABLE_TARGET: _scaling,
    Kind.SCALING_POLICY: _scaling,
    Kind.ALARM: _scaling,
    Kind.SECURITY_GROUP: _security_group,
    Kind.LOG_GROUP: _log_group,
    Kind.TASK_DEFINITION: _definition,
}


def _read_all(sheet: Sheet, tasks: list[Task]) -> None:
    sheet.read(*tasks)
    while sheet.tasks:
        _read(sheet, sheet.tasks.pop(0))


def _read(sheet: Sheet, task: Task) -> None:
    """One listing to its last page."""
    listing, take = LOOKS[task.look].listing, LOOKS[task.look].take
    token: dict[str, object] = {}
    for _ in range(MAX_PAGES):
        try:
            found = page(listing, task.params, token)
        except Missing:
            sheet.note(listing.operation, task.scopes, Read.WHOLE)
            return
        except (Throttled, Unavailable):
            raise
        except AwsFailure as error:
            if LOOKS[task.look].none(error):
                sheet.note(listing.operation, task.scopes, Read.WHOLE)
                return
            status = Read.DENIED if isinstance(error, Denied) else Read.FAILED
            sheet.note(listing.operation, task.scopes, status, reason=str(error))
            return
        sheet.note(listing.operation, task.scopes, Read.WHOLE, len(found.items))
        take(sheet, task, found)
        for failure in found.failures:
            if failure.reason not in LOOKS[task.look].skips:
                sheet.note(listing.operation, task.scopes, Read.TRUNCATED, reason=f"failures: {failure}")
        if not found.next:
            return
        token = found.next
    sheet.note(listing.operation, task.scopes, Read.TRUNCATED, reason="the listing did not end")
