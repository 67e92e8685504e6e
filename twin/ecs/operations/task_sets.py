"""Task sets of services with the EXTERNAL controller."""

from __future__ import annotations

from typing import Any

from twin.ecs.deployment import Deployment
from twin.ecs.model import Service, TaskDefinition
from twin.ecs.operations.common import Params, included, invalid, missing, only, tags_of
from twin.ecs.operations.services import ServiceOperations, check_port
from twin.ecs.operations.tasks import check_network
from twin.ecs.tasksets import Wanted, shown
from twin.errors import AwsError, Unmodelled
from twin.kernel.api import Call, operation

MOST = 5
_CREATE = [
    "service",
    "cluster",
    "externalId",
    "taskDefinition",
    "networkConfiguration",
    "loadBalancers",
    "launchType",
    "capacityProviderStrategy",
    "scale",
    "clientToken",
    "tags",
]


class TaskSetOperations(ServiceOperations):
    @operation("CreateTaskSet", _CREATE)
    def create_task_set(self, params: Params, call: Call) -> Params:
        service = self._external(params, "CreateTaskSet", active=True)
        token = (service.arn, params.get("clientToken"))
        known = self.engine.task_set_tokens.get(token) if token[1] else None
        if known is not None and known[0] == params:
            return {"taskSet": self._view(known[1])}
        if known is not None:
            raise invalid("The clientToken is in use with another request.")
        if sum(not each.task_set.deleted for each in service.deployments if each.task_set) >= MOST:
            raise AwsError("LimitExceededException", f"A service can have at most {MOST} task sets.")
        definition = self.definition_named(params["taskDefinition"])
        wanted = self._wanted(service, params, definition)
        made = self.engine.task_sets.create(service, wanted, call)
        if token[1]:
            self.engine.task_set_tokens[token] = (dict(params), made)
        return {"taskSet": self._view(made)}

    def _wanted(self, service: Service, params: Params, definition: TaskDefinition) -> Wanted:
        if "scale" not in params:
            raise Unmodelled("ecs:CreateTaskSet without scale: AWS documents no default")
        check_network(definition, params)
        network = params.get("networkConfiguration")
        if network:
            network = {"awsvpcConfiguration": {"assignPublicIp": "DISABLED", **network["awsvpcConfiguration"]}}
        balancers = params.get("loadBalancers") or []
        if len(balancers) > 1:
            raise invalid("A task set can have one Application Load Balancer target group only.")
        for item in balancers:
            if item.get("loadBalancerName") or item.get("advancedConfiguration") or not item.get("targetGroupArn"):
                raise Unmodelled("ecs: task sets' load balancers other than plain target groups are not modelled")
            check_port(definition, item)
        only(params, "launchType", ("EC2",), "ecs:CreateTaskSet")
        launch, capacity = self._capacity(service.cluster, params)
        return Wanted(
            definition=definition,
            scale=_percent(params["scale"]),
            load_balancers=balancers,
            network=network,
            launch_type=launch,
            capacity_strategy=capacity,
            external_id=params.get("externalId"),
            tags=tags_of(params),
        )

    @operation("DescribeTaskSets", ["cluster", "service", "taskSets", "include"])
    def describe_task_sets(self, params: Params, call: Call) -> Params:
        service = self._external(params, "DescribeTaskSets")
        tags = "TAGS" in included(params, ("TAGS",))
        found: list[Deployment] = [each for each in service.deployments if each.task_set]
        failures: list[dict[str, str]] = []
        if params.get("taskSets"):
            found = []
            for reference in dict.fromkeys(params["taskSets"]):
                one = self.engine.task_sets.find(service, reference)
                stem = f"task-set/{service.cluster.name}/{service.name}/{reference}"
                if one is None:
                    failures.append(
                        missing(reference if reference.startswith("arn:") else self.engine.kernel.arn("ecs", stem))
                    )
                else:
                    found.append(one)
        return {"taskSets": [self._view(one, tags=tags) for one in found], "failures": failures}

    @operation("UpdateTaskSet", ["cluster", "service", "taskSet", "scale"])
    def update_task_set(self, params: Params, call: Call) -> Params:
        one = self._task_set(self._external(params, "UpdateTaskSet", active=True), params["taskSet"])
        if one.task_set is not None and one.task_set.deleted:
            raise invalid("The task set is DRAINING.")
        self.engine.task_sets.scale(one, _percent(params["scale"]), call)
        return {"taskSet": self._view(one)}

    @operation("UpdateServicePrimaryTaskSet", ["cluster", "service", "primaryTaskSet"])
    def update_service_primary_task_set(self, params: Params, call: Call) -> Params:
        service = self._external(params, "UpdateServicePrimaryTaskSet", active=True)
        one = self._task_set(service, params["primaryTaskSet"])
        if one.task_set is not None and one.task_set.deleted:
            raise invalid("The task set is DRAINING.")
        self.engine.task_sets.make_primary(one)
        return {"taskSet": self._view(one)}

    @operation("DeleteTaskSet", ["cluster", "service", "taskSet", "force"])
    def delete_task_set(self, params: Params, call: Call) -> Params:
        one = self._task_set(self._external(params, "DeleteTaskSet", active=True), params["taskSet"])
        if one.wanted > 0 and not params.get("force"):
            raise invalid("The task set cannot be deleted while it is scaled above 0.")
        self.engine.task_sets.delete(one, call)
        return {"taskSet": self._view(one)}

    # --- common ------------------------------------------------------------------------------------------------------
    def _external(self, params: Params, name: str, *, active: bool = False) -> Service:
        service = self._service(self.engine.store.cluster(params["cluster"]), params["service"])
        if service.controller != "EXTERNAL":
            raise invalid(f"{name} is only supported with the EXTERNAL deployment controller.")
        if active and service.status != "ACTIVE":
            raise AwsError("ServiceNotActiveException", "Service was not ACTIVE.")
        return service

    def _task_set(self, service: Service, reference: str) -> Deployment:
        found = self.engine.task_sets.find(service, reference)
        if found is None:
            raise AwsError("TaskSetNotFoundException", "The specified task set was not found.")
        return found

    def _view(self, one: Deployment, *, tags: bool = False) -> Params:
        return shown(one, self.engine.kernel.clock.now(), tags=tags)


def _percent(scale: dict[str, Any]) -> float:
    value = float(scale.get("value", 0.0))
    if scale.get("unit", "PERCENT") != "PERCENT" or not 0 <= value <= 100:
        raise invalid("scale must be between 0 and 100 PERCENT.")
    return value
