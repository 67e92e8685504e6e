"""What CloudWatch and Application Auto Scaling tell: alarms, scalable targets, policies, scheduled actions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from caretaker.aws import cloudwatch, scaling
from caretaker.aws.listing import Page
from caretaker.garbage.look import Look, tags_of, when
from caretaker.garbage.model import Identity, Kind, Reference, Resource
from caretaker.garbage.sheet import Sheet, Task

Json = Mapping[str, Any]

# An alarm in the rule of a composite alarm: a name or an ARN, in quotes or not (CloudWatch API: PutCompositeAlarm).
_IN_RULE = re.compile(r"(?:ALARM|OK|INSUFFICIENT_DATA)\s*\(\s*(?:\"([^\"]+)\"|'([^']+)'|([^\s\")]+))\s*\)")
_ACTIONS = ("AlarmActions", "OKActions", "InsufficientDataActions")
_WATCHED = {"TargetGroup": "targetgroup-of:", "LoadBalancer": "loadbalancer/"}


def opening() -> Iterator[Task]:
    """What is read first."""
    yield Task("alarms")
    yield Task("scalable targets")
    yield Task("scaling policies")
    yield Task("scheduled actions")


def _alarms(sheet: Sheet, task: Task, page: Page) -> None:
    for item in page.items:
        if "AlarmRule" in item:
            _composite(sheet, item)
        else:
            _metric_alarm(sheet, item)


def _metric_alarm(sheet: Sheet, item: Json) -> None:
    arn, name = item["AlarmArn"], item["AlarmName"]
    metrics = _metrics(item)
    facts = {"alarm_name": name, "metrics": str(max(1, len(metrics)))}
    sheet.found(Resource(Identity(arn), Kind.ALARM, "", name, facts=facts), f"alarm:{name}")
    watched: dict[str, set[str]] = {}
    for metric in metrics:
        for dimension in metric.get("Dimensions", ()):
            if dimension["Name"] in _WATCHED:
                target = _WATCHED[dimension["Name"]] + dimension["Value"]
                watched.setdefault(target, set()).add(metric.get("MetricName", ""))
    for target, names in watched.items():
        sheet.refer(Reference(arn, Kind.ALARM, target, f"watches its {', '.join(sorted(names))}"))
    _calls(sheet, item, Kind.ALARM)


def _metrics(item: Json) -> list[Json]:
    stats = [one["MetricStat"]["Metric"] for one in item.get("Metrics", ()) if "MetricStat" in one]
    return stats if "Metrics" in item else [item]


def _composite(sheet: Sheet, item: Json) -> None:
    arn, name = item["AlarmArn"], item["AlarmName"]
    sheet.names[f"alarm:{name}"] = arn
    for found in _IN_RULE.findall(item["AlarmRule"]):
        sheet.refer(Reference(arn, Kind.COMPOSITE_ALARM, _alarm("".join(found)), "has it in its rule"))
    if item.get("ActionsSuppressor"):
        how = "lets it suppress its actions"
        sheet.refer(Reference(arn, Kind.COMPOSITE_ALARM, _alarm(item["ActionsSuppressor"]), how))
    _calls(sheet, item, Kind.COMPOSITE_ALARM)


def _alarm(name: str) -> str:
    return name if name.startswith("arn:") else f"alarm:{name}"


def _calls(sheet: Sheet, item: Json, kind: Kind) -> None:
    for action in dict.fromkeys(action for member in _ACTIONS for action in item.get(member, ())):
        if ":scalingPolicy:" in action:
            sheet.refer(Reference(item["AlarmArn"], kind, action, "calls it as its action"))


def _targets(sheet: Sheet, task: Task, page: Page) -> None:
    for item in page.items:
        arn = item.get("ScalableTargetARN", "")
        if not arn:
            continue
        facts = {**_scaled(item), "created": when(item.get("CreationTime"))}
        sheet.found(Resource(Identity(arn), Kind.SCALABLE_TARGET, "", item["ResourceId"], facts=facts))
        role = item.get("RoleARN", "")
        sheet.refer(Reference(arn, Kind.SCALABLE_TARGET, role, "has it as its role"))


def _policies(sheet: Sheet, task: Task, page: Page) -> None:
    for item in page.items:
        arn, name = item["PolicyARN"], item["PolicyName"]
        facts = {**_scaled(item), "policy_name": name, "type": item.get("PolicyType", "")}
        sheet.found(Resource(Identity(arn), Kind.SCALING_POLICY, "", name, facts=facts))
        tracking = item.get("PolicyType") == "TargetTrackingScaling"
        for alarm in item.get("Alarms", ()):
            sheet.refer(Reference(arn, Kind.SCALING_POLICY, alarm["AlarmARN"], "has it as its alarm"))
            if tracking:
                sheet.tracking[alarm["AlarmARN"]] = arn
        label = _label(item)
        if label:
            how = "scales by the requests to it"
            sheet.refer(Reference(arn, Kind.SCALING_POLICY, f"targetgroup-of:{label[1]}", how))
            sheet.refer(Reference(arn, Kind.SCALING_POLICY, f"loadbalancer/{label[0]}", how))


def _label(policy: Json) -> tuple[str, str] | None:
    """Load balancer and target group of the metric ALBRequestCountPerTarget: app/…/…/targetgroup/…/…"""
    config = policy.get("TargetTrackingScalingPolicyConfiguration") or {}
    label = (config.get("PredefinedMetricSpecification") or {}).get("ResourceLabel", "")
    balancer, found, group = label.partition("/targetgroup/")
    return (balancer, f"targetgroup/{group}") if found else None


def _scheduled(sheet: Sheet, task: Task, page: Page) -> None:
    for item in page.items:
        arn, name = item["ScheduledActionARN"], item["ScheduledActionName"]
        sheet.found(Resource(Identity(arn), Kind.SCHEDULED_ACTION, "", name, facts=_scaled(item)))


def _scaled(item: Json) -> dict[str, str]:
    return {"resource_id": item["ResourceId"], "dimension": item.get("ScalableDimension", "")}


def _alarm_tags(sheet: Sheet, task: Task, page: Page) -> None:
    sheet.more(task.scopes[0], tags_of(page.items))


def _target_tags(sheet: Sheet, task: Task, page: Page) -> None:
    sheet.more(task.scopes[0], {str(key): str(value) for key, value in (page.answer.get("Tags") or {}).items()})


LOOKS = {
    "alarms": Look(cloudwatch.DESCRIBE_ALARMS, _alarms),
    "scalable targets": Look(scaling.DESCRIBE_SCALABLE_TARGETS, _targets),
    "scaling policies": Look(scaling.DESCRIBE_SCALING_POLICIES, _policies),
    "scheduled actions": Look(scaling.DESCRIBE_SCHEDULED_ACTIONS, _scheduled),
    "alarm tags": Look(cloudwatch.LIST_TAGS_FOR_RESOURCE, _alarm_tags),
    "scalable target tags": Look(scaling.LIST_TAGS_FOR_RESOURCE, _target_tags),
}
