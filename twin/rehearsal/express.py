"""Builds a world's Express services, in the API's words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twin.rehearsal.balancers import Balanced
from twin.rehearsal.express_spec import Express
from twin.rehearsal.spec import Service, WorldSpec

ApiCall = Callable[..., dict[str, Any]]


def family(cluster: str, name: str) -> str:
    """The family of the task definitions that ECS registers for an Express service."""
    return f"{cluster}-{name}"


def families(spec: WorldSpec, service: Service) -> list[str]:
    """The families of a service's task definitions, one for each copy."""
    if service.express is None:
        return service.names
    return [family(spec.cluster_of(service), name) for name in service.names]


def is_public(spec: WorldSpec) -> bool:
    """Whether the world needs public subnets in its default VPC."""
    return bool(spec.gateways) or any(
        service.express is not None and service.express.public for service in spec.services
    )


def create(call: ApiCall, service: Service, name: str, cluster: str, account: str, subnets: Sequence[str]) -> str:
    """ARN of the new service."""
    answer = call("ecs", "CreateExpressGatewayService", **request(service, name, cluster, account, subnets))
    return str(answer["service"]["serviceArn"])


def request(service: Service, name: str, cluster: str, account: str, subnets: Sequence[str]) -> dict[str, Any]:
    """The members of CreateExpressGatewayService; those that are None are left out."""
    express = service.express
    assert express is not None
    container: dict[str, Any] = {"image": service.image or f"example.com/{name.lower()}:1"}
    if express.port is not None:
        container["containerPort"] = express.port
    if express.log_group is not None:
        container["awsLogsConfiguration"] = {"logGroup": express.log_group, "logStreamPrefix": "ecs"}
    return {
        "serviceName": name,
        "cluster": cluster,
        "executionRoleArn": f"arn:aws:iam::{account}:role/ecsTaskExecutionRole",
        "infrastructureRoleArn": f"arn:aws:iam::{account}:role/{express.role}",
        "primaryContainer": container,
        "cpu": _text(express.cpu),
        "memory": _text(express.memory),
        "healthCheckPath": express.health_check_path,
        "networkConfiguration": {"subnets": list(subnets)},
        "scalingTarget": _scaling(express),
    }


def _text(number: int | None) -> str | None:
    return None if number is None else str(number)


def _scaling(express: Express) -> dict[str, Any]:
    given: dict[str, Any] = {
        "minTaskCount": express.min_tasks,
        "maxTaskCount": express.max_tasks,
        "autoScalingMetric": express.metric,
        "autoScalingTargetValue": express.target,
    }
    return {name: value for name, value in given.items() if value is not None}


def balanced(call: ApiCall, service_arn: str) -> Balanced:
    """What an Express service is reached through, once ECS has made it."""
    shown = call("ecs", "DescribeExpressGatewayService", serviceArn=service_arn)["service"]
    arn = shown["activeConfigurations"][0]["serviceRevisionArn"]
    revision = call("ecs", "DescribeServiceRevisions", serviceRevisionArns=[arn])["serviceRevisions"][0]
    path = revision["ecsManagedResources"]["ingressPaths"][0]
    first, second = path["targetGroups"]
    return Balanced(
        target_group=first["arn"],
        alternate=second["arn"],
        rule=path["rule"]["arn"],
        listener=path["listener"]["arn"],
        load_balancer=path["loadBalancer"]["arn"],
    )
