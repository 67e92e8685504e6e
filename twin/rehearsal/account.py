"""Builds what a world has around its fleet: gateways, stacks, and what its people made themselves."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from twin.errors import WorldError
from twin.kernel.api import WORLD, Caller
from twin.kernel.stack_work import EXPRESS
from twin.rehearsal import express
from twin.rehearsal.account_spec import Gateway, Own, Stack
from twin.rehearsal.apimodel import check_operation, check_params
from twin.rehearsal.placeholders import Placeholders, standing_in
from twin.rehearsal.spec import Service, WorldSpec

if TYPE_CHECKING:
    from twin.world import World


def check(spec: WorldSpec, where: str) -> None:
    """Whether every own call exists and takes such parameters; WorldError otherwise."""
    for index, one in enumerate(spec.own):
        check_operation(one.service, one.operation, f"{where}: own[{index}].call")
        check_params(one.service, one.operation, standing_in(one.params), f"{where}: own[{index}].params")


def in_stacks(spec: WorldSpec) -> set[str]:
    """Names of the services that stacks make."""
    return {name for stack in spec.stacks for name in stack.services}


class AccountBuilder:
    """
    Attributes:
        own: what the names of `own` stand for.
        where: what is being built, for messages.
    """

    def __init__(self, world: World, spec: WorldSpec) -> None:
        self._world = world
        self._spec = spec
        self._placeholders = Placeholders(world)
        self.own: dict[str, str] = {}
        self.where = ""

    def build(self) -> None:
        """Raises AwsError as the calls do, and WorldError."""
        for index, stack in enumerate(self._spec.stacks):
            self.where = f"stacks[{index}] {stack.name}"
            self._stack(stack)
        for index, gateway in enumerate(self._spec.gateways):
            self.where = f"gateways[{index}] {gateway.name}"
            self._gateway(gateway)
        for index, own in enumerate(self._spec.own):
            self.where = f"own[{index}]"
            self._own(own, index)
        for index, stack in enumerate(self._spec.stacks):
            self.where = f"stacks[{index}] {stack.name}"
            self._possessions(stack, index)

    def _call(self, service: str, operation: str, caller: Caller = WORLD, **params: Any) -> dict[str, Any]:
        answer: dict[str, Any] = self._world.gateway.call(service, operation, params, caller)
        self._world.settle()
        return answer

    # --- stacks ------------------------------------------------------------------------------------------------------
    def _stack(self, stack: Stack) -> None:
        """A stack that makes services waits for them; one that does not is only said to be there."""
        resources = {
            f"Service{number}": {"Type": EXPRESS, "Properties": self._properties(name)}
            for number, name in enumerate(stack.services, start=1)
        }
        if not resources:
            self._world.stacks.stand(stack.name)
            return
        self._call(
            "cloudformation", "CreateStack", StackName=stack.name, TemplateBody=json.dumps({"Resources": resources})
        )
        shown = self._call("cloudformation", "DescribeStacks", StackName=stack.name)["Stacks"][0]
        if shown["StackStatus"] != "CREATE_COMPLETE":
            owned = self._call("cloudformation", "DescribeStackResources", StackName=stack.name)["StackResources"]
            why = [one["ResourceStatusReason"] for one in owned if one.get("ResourceStatusReason")]
            raise WorldError(f"{self.where}: {shown['StackStatus']}: {'; '.join(why) or 'no reason is given'}")

    def _properties(self, name: str) -> dict[str, Any]:
        service = self._service(name)
        assert service.express is not None  # names.problems refuses others
        subnets = self._world.fleet.subnets_of(service)
        cluster = self._spec.cluster_of(service)
        request = express.request(service, name, cluster, self._spec.account, subnets)
        properties: dict[str, Any] = _raised(request)
        return properties

    def _service(self, name: str) -> Service:
        return next(service for service in self._spec.services if name in service.names)

    def _possessions(self, stack: Stack, index: int) -> None:
        for place, one in enumerate(stack.resources):
            physical = self._placeholders.filled(one.id, f"stacks[{index}].resources[{place}].id")
            self._world.stacks.own(stack.name, one.logical_id, one.type, physical)

    # --- gateways ----------------------------------------------------------------------------------------------------
    def _gateway(self, gateway: Gateway) -> None:
        arn = self._call(
            "ecs",
            "CreateGateway",
            name=gateway.name,
            infrastructureRoleArn=f"arn:aws:iam::{self._spec.account}:role/ecsInfrastructureRoleForGateways",
            deletionProtection=gateway.deletion_protection,
            configuration={"hostSharedAlb": {}},
        )["gatewayArn"]
        engine = self._world.ecs.engine
        for name in gateway.services:
            cluster = self._spec.cluster_of(self._service(name))
            service = engine.store.services[engine.kernel.arn("ecs", f"service/{cluster}/{name}")]
            engine.gateways.route(engine.gateways.gateways[arn], service)
            self._world.settle()

    # --- what people made --------------------------------------------------------------------------------------------
    def _own(self, own: Own, index: int) -> None:
        params = self._placeholders.filled(own.params, f"own[{index}].params")
        answer = self._call(own.service, own.operation, Caller("operator", own.who), **params)
        if own.name is not None and own.result is not None:
            self.own[own.name] = self._found(answer, own.result, f"own[{index}].result")

    def _found(self, answer: Any, path: str, field: str) -> str:
        for step in path.split("."):
            if isinstance(answer, list) and step.isdigit() and int(step) < len(answer):
                answer = answer[int(step)]
            elif isinstance(answer, dict) and step in answer:
                answer = answer[step]
            else:
                raise WorldError(f"{field}: {path} is not in the answer: there is no {step}")
        if not isinstance(answer, str):
            raise WorldError(f"{field}: {path} is no text in the answer")
        return answer


def _raised(value: Any) -> Any:
    """What the ECS API takes, in the words of CloudFormation."""
    if isinstance(value, dict):
        return {f"{name[0].upper()}{name[1:]}": _raised(each) for name, each in value.items() if each is not None}
    return [_raised(each) for each in value] if isinstance(value, list) else value
