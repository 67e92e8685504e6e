"""What ECS's API says of an Express service, read as resources and claims on them.

Source: ECS API: ECSExpressGatewayService, ServiceRevision, ECSManagedResources.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from caretaker.garbage.model import Kind

Json = Mapping[str, Any]

_ECR = re.compile(r"(\d{12})\.dkr\.ecr(?:-fips)?\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?/([^:@]+)")


@dataclass(frozen=True)
class Managed:
    """A resource in a revision's inventory.

    Attributes:
        shared: of all services of the VPC and scheme.
        status: PROVISIONING, ACTIVE, DEPROVISIONING, DELETED or FAILED.
        reason: why, in ECS's words; often empty.
    """

    arn: str
    kind: Kind
    shared: bool
    status: str
    reason: str = ""


def managed(revision: Json) -> Iterator[Managed]:
    """What ECS manages for a service revision; what has no ARN yet is not there yet."""
    for item, kind, shared in _members(revision.get("ecsManagedResources") or {}):
        if item.get("arn"):
            yield Managed(item["arn"], kind, shared, item.get("status", ""), item.get("statusReason", ""))


def _members(resources: Json) -> Iterator[tuple[Json, Kind, bool]]:
    for path in resources.get("ingressPaths", ()):
        yield path.get("loadBalancer") or {}, Kind.LOAD_BALANCER, True
        yield path.get("listener") or {}, Kind.LISTENER, True
        yield path.get("certificate") or {}, Kind.CERTIFICATE, False
        yield path.get("rule") or {}, Kind.RULE, False
        for group in path.get("loadBalancerSecurityGroups", ()):
            yield group, Kind.SECURITY_GROUP, True
        for group in path.get("targetGroups", ()):
            yield group, Kind.TARGET_GROUP, False
    scaling = resources.get("autoScaling") or {}
    yield scaling.get("scalableTarget") or {}, Kind.SCALABLE_TARGET, False
    for policy in scaling.get("applicationAutoScalingPolicies", ()):
        yield policy, Kind.SCALING_POLICY, False
    for alarm in resources.get("metricAlarms", ()):
        yield alarm, Kind.ALARM, False
    for group in resources.get("serviceSecurityGroups", ()):
        yield group, Kind.SECURITY_GROUP, False
    for group in resources.get("logGroups", ()):
        yield {**group, "arn": log_group_arn(group.get("arn", ""))}, Kind.LOG_GROUP, False
    yield from _of_gateways(resources)


def _of_gateways(resources: Json) -> Iterator[tuple[Json, Kind, bool]]:
    """What a gateway holds for the service is the gateway's; it is named, so that it is known to be used."""
    kinds = {
        "acmCertificateArn": Kind.CERTIFICATE,
        "loadBalancerArn": Kind.LOAD_BALANCER,
        "listenerArn": Kind.LISTENER,
        "listenerRuleArn": Kind.RULE,
        "testListenerRuleArn": Kind.RULE,
        "targetGroupArn": Kind.TARGET_GROUP,
        "alternateTargetGroupArn": Kind.TARGET_GROUP,
    }
    for connection in resources.get("gatewayConnections", ()):
        for shared in (connection.get("resources") or {}).get("hostSharedAlb", ()):
            for member, kind in kinds.items():
                yield {"arn": shared.get(member), "status": connection.get("status", "")}, kind, True
            for group in shared.get("loadBalancerSecurityGroupArns", ()):
                yield {"arn": group, "status": connection.get("status", "")}, Kind.SECURITY_GROUP, True


def gateway_resources(revision: Json) -> set[str]:
    """ARNs of what gateways hold for a revision: never claimed for the service."""
    found = _of_gateways(revision.get("ecsManagedResources") or {})
    return {item["arn"] for item, _, _ in found if item.get("arn")}


def configurations(service: Json) -> list[Json]:
    """The active configurations that name their revision."""
    return [each for each in service.get("activeConfigurations", ()) if each.get("serviceRevisionArn")]


def log_group_arn(arn: str) -> str:
    """The ARN of a log group without the `:*` that some answers add."""
    return arn.removesuffix(":*")


def log_group_name(configuration: Json) -> str:
    """The log group of a configuration as `log-group:<name>`; empty where it has none."""
    container = configuration.get("primaryContainer") or {}
    name = (container.get("awsLogsConfiguration") or {}).get("logGroup", "")
    return f"log-group:{name}" if name else ""


def repository(configuration: Json) -> str:
    """ARN of the ECR repository of a configuration's image; empty for images from elsewhere."""
    image = (configuration.get("primaryContainer") or {}).get("image", "")
    found = _ECR.match(image)
    if not found:
        return ""
    account, region, name = found.groups()
    partition = "aws-cn" if region.startswith("cn-") else "aws-us-gov" if region.startswith("us-gov-") else "aws"
    return f"arn:{partition}:ecr:{region}:{account}:repository/{name}"


def cluster_of(service: str) -> str:
    """ARN of the cluster of a service."""
    stem, _, path = service.partition(":service/")
    return f"{stem}:cluster/{path.partition('/')[0]}"


def service_arn(task: str, name: str) -> str:
    """ARN of the service of that name in a task's cluster."""
    stem, _, path = task.partition(":task/")
    return f"{stem}:service/{path.partition('/')[0]}/{name}"


def revisions_of(deployment: Json) -> list[str]:
    """ARNs of the revisions that a service deployment goes from, goes to, and rolls back to."""
    named = [*deployment.get("sourceServiceRevisions", ()), deployment.get("targetServiceRevision") or {}]
    found = [each["arn"] for each in named if each.get("arn")]
    back = (deployment.get("rollback") or {}).get("serviceRevisionArn")
    return list(dict.fromkeys([*found, back] if back else found))


def subnets(item: Json) -> list[str]:
    """Subnets of a configuration, or of a revision and the load balancer that it is behind."""
    network = item.get("networkConfiguration") or {}
    found = [*network.get("subnets", ()), *(network.get("awsvpcConfiguration") or {}).get("subnets", ())]
    for path in (item.get("ecsManagedResources") or {}).get("ingressPaths", ()):
        found += (path.get("loadBalancer") or {}).get("subnetIds", ())
    return found
