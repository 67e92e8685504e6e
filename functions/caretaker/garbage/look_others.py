"""What the services around tell of a few resources: certificates, log groups, web ACLs, DNS records, stacks.

Most of these can only be asked about one resource at a time, so only the suspects are asked about.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from caretaker.aws import acm, cloudformation, logs, route53, wafv2
from caretaker.aws.listing import Page
from caretaker.garbage.express import log_group_arn
from caretaker.garbage.look import Look, tags_of, when, words, yes
from caretaker.garbage.model import Identity, Kind, Reference, Resource
from caretaker.garbage.sheet import Sheet, Task

Json = Mapping[str, Any]


def opening() -> Iterator[Task]:
    """What is read first."""
    yield Task("certificates")
    yield Task("hosted zones")


# --- certificates ----------------------------------------------------------------------------------------------------


def _certificates(sheet: Sheet, task: Task, page: Page) -> None:
    for item in page.items:
        domain = item.get("DomainName", "")
        names = words([domain, *item.get("SubjectAlternativeNameSummaries", ())])
        facts = {"names": names, "created": when(item.get("CreatedAt"))}
        sheet.found(Resource(Identity(item["CertificateArn"]), Kind.CERTIFICATE, "", domain, facts=facts))


def certificate(arn: str) -> Iterator[Task]:
    """Read who uses a certificate, and its tags."""
    yield Task("certificate", (arn,), {"CertificateArn": arn})
    yield Task("certificate tags", (arn,), {"CertificateArn": arn})


def _certificate(sheet: Sheet, task: Task, page: Page) -> None:
    for item in page.items:
        arn = item["CertificateArn"]
        names = words([item.get("DomainName", ""), *item.get("SubjectAlternativeNames", ())])
        sheet.more(arn, names=names)
        for user in item.get("InUseBy", ()):
            kind = Kind.LOAD_BALANCER if ":loadbalancer/" in user else Kind.OTHER
            sheet.refer(Reference(user, kind, arn, "is in ACM's list of what uses it"))


def _certificate_tags(sheet: Sheet, task: Task, page: Page) -> None:
    sheet.more(task.scopes[0], tags_of(page.items))


# --- log groups ------------------------------------------------------------------------------------------------------


def log_group(arn: str) -> Iterator[Task]:
    """Read a log group, its tags and its filters."""
    name = arn.partition(":log-group:")[2]
    yield Task("log group", (arn,), {"logGroupNamePrefix": name})
    yield Task("log group tags", (arn,), {"resourceArn": arn})
    yield Task("subscription filters", (arn,), {"logGroupName": name})
    yield Task("metric filters", (arn,), {"logGroupName": name})


def _log_group(sheet: Sheet, task: Task, page: Page) -> None:
    (arn,) = task.scopes
    for item in page.items:
        found = item.get("logGroupArn") or log_group_arn(item.get("arn", ""))
        if found != arn:
            continue  # another one that begins with the same letters
        name = item["logGroupName"]
        facts = {
            "stored_bytes": str(item.get("storedBytes", "")),
            "protected": yes(item.get("deletionProtectionEnabled")),
        }
        identity = Identity(arn, when(logs.created(item)))
        sheet.found(Resource(identity, Kind.LOG_GROUP, "", name, facts=facts), f"log-group:{name}")


def _log_group_tags(sheet: Sheet, task: Task, page: Page) -> None:
    (arn,) = task.scopes
    # Two reads of one resource: whichever comes first, the other must not lose it.
    sheet.tags[arn] = {str(key): str(value) for key, value in (page.answer.get("tags") or {}).items()}


def _filters(sheet: Sheet, task: Task, page: Page) -> None:
    (arn,) = task.scopes
    for item in page.items:
        what = f"sends it to {item['destinationArn']}" if "destinationArn" in item else "makes a metric of it"
        source = f"{arn}:filter:{item['filterName']}"
        sheet.refer(Reference(source, Kind.FILTER, arn, what))


# --- web ACLs, names, stacks -----------------------------------------------------------------------------------------


def _web_acl(sheet: Sheet, task: Task, page: Page) -> None:
    for item in page.items:
        sheet.refer(Reference(item["ARN"], Kind.WEB_ACL, task.scopes[0], "protects it"))


def _zones(sheet: Sheet, task: Task, page: Page) -> None:
    for item in page.items:
        sheet.read(Task("record sets", (item["Id"],), {"HostedZoneId": item["Id"]}))


def _records(sheet: Sheet, task: Task, page: Page) -> None:
    (zone,) = task.scopes
    for item in page.items:
        alias = (item.get("AliasTarget") or {}).get("DNSName", "")
        values = [one.get("Value", "") for one in item.get("ResourceRecords", ())] if item["Type"] == "CNAME" else []
        for name in (alias, *values):
            how = f"is an alias of it in {zone}" if name == alias else f"names it in {zone}"
            source = f"{item['Name']} {item['Type']}"
            sheet.refer(Reference(source, Kind.RECORD_SET, _balancer(name), how))


def _balancer(name: str) -> str:
    """The load balancer of a DNS name, also with the prefix for both address families."""
    bare = name.lower().rstrip(".").removeprefix("dualstack.")
    return f"dns:{bare}" if bare.endswith((".elb.amazonaws.com", ".elb.amazonaws.com.cn")) else ""


def stack(arn: str, physical: str) -> Task:
    """Read the stack that a resource belongs to.

    Args:
        physical: as CloudFormation knows it.
    """
    return Task("stack", (arn,), {"PhysicalResourceId": physical})


def _stack(sheet: Sheet, task: Task, page: Page) -> None:
    for item in page.items:
        # What a deleted stack has left behind is not the stack's any more.
        owned = item.get("ResourceStatus") not in ("DELETE_COMPLETE", "DELETE_SKIPPED")
        if owned and item.get("PhysicalResourceId") == task.params["PhysicalResourceId"]:
            how = f"owns it as {item['LogicalResourceId']}"
            owner = item.get("StackId") or item.get("StackName", "")
            sheet.refer(Reference(owner, Kind.STACK, task.scopes[0], how))


LOOKS = {
    "certificates": Look(acm.LIST_CERTIFICATES, _certificates),
    "certificate": Look(acm.DESCRIBE_CERTIFICATE, _certificate),
    "certificate tags": Look(acm.LIST_TAGS_FOR_CERTIFICATE, _certificate_tags),
    "log group": Look(logs.DESCRIBE_LOG_GROUPS, _log_group),
    "log group tags": Look(logs.LIST_TAGS_FOR_RESOURCE, _log_group_tags, missing_is_none=True),
    "subscription filters": Look(logs.DESCRIBE_SUBSCRIPTION_FILTERS, _filters, missing_is_none=True),
    "metric filters": Look(logs.DESCRIBE_METRIC_FILTERS, _filters, missing_is_none=True),
    "web ACL": Look(wafv2.GET_WEB_ACL_FOR_RESOURCE, _web_acl),
    "hosted zones": Look(route53.LIST_HOSTED_ZONES, _zones),
    "record sets": Look(route53.LIST_RESOURCE_RECORD_SETS, _records),
    "stack": Look(cloudformation.DESCRIBE_STACK_RESOURCES, _stack, none=cloudformation.no_stack),
}
