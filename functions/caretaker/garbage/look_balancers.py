"""What Elastic Load Balancing tells: load balancers, listeners, rules, target groups, and which uses which.

Rules, listeners and target groups of another VPC than the observed one cannot use anything in it, so only load
balancers of the VPC are looked into. What uses a load balancer from elsewhere shows in other looks.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from caretaker.aws import elbv2
from caretaker.aws.listing import Page
from caretaker.garbage.look import Look, tags_of, words, yes
from caretaker.garbage.model import Identity, Kind, Read, Reference, Resource
from caretaker.garbage.sheet import Sheet, Task

Json = Mapping[str, Any]


def opening() -> Iterator[Task]:
    """What is read first."""
    yield Task("load balancers")
    yield Task("target groups")


def tail(arn: str, kind: str) -> str:
    """What follows `loadbalancer/` or `listener/` in an ARN."""
    return arn.partition(f":{kind}/")[2]


def _balancers(sheet: Sheet, task: Task, page: Page) -> None:
    for item in page.items:
        arn = item["LoadBalancerArn"]
        name = item.get("DNSName", "").lower()
        facts = {
            "type": item.get("Type", "application"),
            "scheme": item.get("Scheme", ""),
            "dns_name": name,
            "created": str(item.get("CreatedTime", "")),
        }
        vpc = item.get("VpcId", "")
        balancer = Resource(Identity(arn), Kind.LOAD_BALANCER, vpc, item["LoadBalancerName"], facts=facts)
        if vpc != sheet.vpc:
            continue
        sheet.found(balancer, f"loadbalancer/{tail(arn, 'loadbalancer')}", f"dns:{name}")
        for group in item.get("SecurityGroups", ()):
            sheet.refer(Reference(arn, Kind.LOAD_BALANCER, group, "is in it"))
        sheet.read(Task("listeners", (arn,), {"LoadBalancerArn": arn}))


def _listeners(sheet: Sheet, task: Task, page: Page) -> None:
    for item in page.items:
        arn, balancer = item["ListenerArn"], item["LoadBalancerArn"]
        actions = item.get("DefaultActions", ())
        default = next((one["CertificateArn"] for one in item.get("Certificates", ())), "")
        facts = {
            "load_balancer": balancer,
            "port": str(item.get("Port", "")),
            "protocol": item.get("Protocol", ""),
            "actions": _types(actions),
            "default_certificate": default,
        }
        name = f"{item.get('Protocol', '')}:{item.get('Port', '')}"
        sheet.found(Resource(Identity(arn), Kind.LISTENER, sheet.vpc, name, facts=facts))
        sheet.refer(*_forwards(arn, Kind.LISTENER, "its default action forwards to it", actions))
        sheet.refer(Reference(arn, Kind.LISTENER, default, "has it as default certificate", via="default"))
        _ask_listener(sheet, arn, item.get("Protocol", ""))


def _ask_listener(sheet: Sheet, arn: str, protocol: str) -> None:
    """A listener's rules and certificates, where its protocol allows it to have any."""
    for look, protocols in (("rules", ("HTTP", "HTTPS")), ("listener certificates", ("HTTPS", "TLS"))):
        if protocol in protocols:
            sheet.read(Task(look, (arn,), {"ListenerArn": arn}))
        else:
            words = f"a {protocol} listener has none"
            sheet.note(LOOKS[look].listing.operation, (arn,), Read.WHOLE, reason=words)


def _rules(sheet: Sheet, task: Task, page: Page) -> None:
    (listener,) = task.scopes
    for item in page.items:
        arn, default = item["RuleArn"], bool(item.get("IsDefault"))
        priority, actions = item.get("Priority", ""), item.get("Actions", ())
        facts = {
            "listener": listener,
            "priority": priority,
            "default": yes(default),
            "actions": _types(actions),
            "hosts": words(_hosts(item)),
            "conditions": _exactly(item.get("Conditions", ())),
            "targets": _exactly(actions),
        }
        sheet.found(Resource(Identity(arn), Kind.RULE, sheet.vpc, f"rule {priority}", facts=facts))
        if not default:  # the default rule's actions are the listener's, which has told them
            sheet.refer(*_forwards(arn, Kind.RULE, f"rule {priority} forwards to it", actions))


def _types(actions: Any) -> str:
    return words(action["Type"] for action in actions)


def _exactly(members: Any) -> str:
    """Members of AWS's answer as one text that changes whenever they do."""
    return json.dumps(members, sort_keys=True, separators=(",", ":"), default=str)


def _hosts(rule: Json) -> Iterator[str]:
    """What the rule's host header conditions ask for; `*` where it is a regular expression."""
    for condition in rule.get("Conditions", ()):
        if condition.get("Field") == "host-header":
            config = condition.get("HostHeaderConfig") or {}
            yield from config.get("Values") or condition.get("Values") or ()
            if config.get("RegexValues") or condition.get("RegexValues"):
                yield "*"


def _forwards(source: str, kind: Kind, how: str, actions: Any) -> Iterator[Reference]:
    """References to target groups; weight 0 is a reference as any other (ELB API: DeleteTargetGroup)."""
    for action in actions:
        groups = (action.get("ForwardConfig") or {}).get("TargetGroups") or ()
        weighed = {one["TargetGroupArn"]: one.get("Weight") for one in groups}
        if action.get("TargetGroupArn"):
            weighed.setdefault(action["TargetGroupArn"], None)
        for group, weight in weighed.items():
            with_weight = how if weight is None else f"{how} with weight {weight}"
            yield Reference(source, kind, group, with_weight, via="forward")


def _listener_certificates(sheet: Sheet, task: Task, page: Page) -> None:
    (listener,) = task.scopes
    listed = [item["CertificateArn"] for item in page.items if not item.get("IsDefault")]
    for arn in listed:
        sheet.refer(Reference(listener, Kind.LISTENER, arn, "has it in its list of certificates", via="listed"))
    known = sheet.resources.get(listener)
    before = known.facts.get("certificates", "").split() if known else []
    sheet.more(listener, certificates=words([*before, *listed]))


def _target_groups(sheet: Sheet, task: Task, page: Page) -> None:
    for item in page.items:
        arn = item["TargetGroupArn"]
        kind = item.get("TargetType", "instance")
        if item.get("VpcId", "") != sheet.vpc:
            continue
        if kind == "alb":  # a network load balancer reaches an Application Load Balancer of its VPC through it
            sheet.read(target_health(arn))
        facts = {
            "target_type": kind,
            "protocol": item.get("Protocol", ""),
            "port": str(item.get("Port", "")),
            "load_balancers": words(item.get("LoadBalancerArns", ())),
        }
        name = item["TargetGroupName"]
        sheet.found(Resource(Identity(arn), Kind.TARGET_GROUP, sheet.vpc, name, facts=facts), tail_of_group(arn))


def tail_of_group(arn: str) -> str:
    """The name by which metrics and scaling policies know a target group."""
    return f"targetgroup-of:{arn.rpartition(':')[2]}"


def target_health(arn: str) -> Task:
    """Read the targets of a target group."""
    return Task("target health", (arn,), {"TargetGroupArn": arn})


def _target_health(sheet: Sheet, task: Task, page: Page) -> None:
    (group,) = task.scopes
    for item in page.items:
        target = item["Target"]["Id"]
        state = (item.get("TargetHealth") or {}).get("State", "unknown")
        if ":loadbalancer/" in target:
            sheet.refer(Reference(group, Kind.TARGET_GROUP, target, "has it as its target"))
        where = f"{target}:{item['Target']['Port']}" if "Port" in item["Target"] else target
        sheet.refer(Reference(where, Kind.OTHER, group, f"is registered with it as a target ({state})"))


def _tags(sheet: Sheet, task: Task, page: Page) -> None:
    for item in page.items:
        sheet.more(item["ResourceArn"], tags_of(item.get("Tags")))


def _attributes(sheet: Sheet, task: Task, page: Page) -> None:
    (balancer,) = task.scopes
    found = {item["Key"]: item.get("Value", "") for item in page.items}
    sheet.more(balancer, protected=found.get("deletion_protection.enabled", ""))


LOOKS = {
    "load balancers": Look(elbv2.DESCRIBE_LOAD_BALANCERS, _balancers),
    "listeners": Look(elbv2.DESCRIBE_LISTENERS, _listeners),
    "rules": Look(elbv2.DESCRIBE_RULES, _rules),
    "listener certificates": Look(elbv2.DESCRIBE_LISTENER_CERTIFICATES, _listener_certificates),
    "target groups": Look(elbv2.DESCRIBE_TARGET_GROUPS, _target_groups),
    "target health": Look(elbv2.DESCRIBE_TARGET_HEALTH, _target_health),
    "tags": Look(elbv2.DESCRIBE_TAGS, _tags, missing_is_none=True),
    "attributes": Look(elbv2.DESCRIBE_LOAD_BALANCER_ATTRIBUTES, _attributes),
}
