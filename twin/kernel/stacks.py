"""CloudFormation, as far as tools ask where a stack's things are, and as worlds have stacks that own services.

Sources: CloudFormation API: CreateStack, UpdateStack, DeleteStack, DescribeStacks, DescribeStackResources, Stack,
StackResource, Output; a name that no stack has is a ValidationError, and so is a resource that no stack owns.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from twin.errors import AwsError, Unmodelled
from twin.kernel.api import Api, Call, operation
from twin.kernel.gateway import Gateway
from twin.kernel.kernel import Kernel
from twin.kernel.stack_model import Owned, Stack
from twin.kernel.stack_work import EXPRESS, StackWork
from twin.kernel.template import Deployment

_DEPLOYED = "00000000-0000-4000-8000-000000000000"
_SECTIONS = frozenset({"AWSTemplateFormatVersion", "Description", "Resources"})
_MEMBERS = frozenset({"Type", "Properties", "DeletionPolicy"})


@dataclass
class Stacks(Api):
    """Knows the stack that the template was deployed as, and those that worlds and their people make.

    A template may hold AWS::ECS::ExpressGatewayService only, without functions or parameters.

    Attributes:
        made: the stacks beside the deployed one, by ARN, deleted ones too.
    """

    kernel: Kernel
    deployment: Deployment | None = None
    gateway: Gateway | None = None
    name: str = "caretaker"
    service: str = field(init=False, default="cloudformation")
    made: dict[str, Stack] = field(init=False, default_factory=dict)

    # --- looking -----------------------------------------------------------------------------------------------------
    @operation("DescribeStacks", ("StackName",))
    def describe_stacks(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        """Without a name all stacks that are not deleted."""
        if "StackName" in params:
            return {"Stacks": [self._named(params["StackName"]).shown()]}
        live = [one.shown() for one in self._all() if one.status != "DELETE_COMPLETE"]
        return {"Stacks": live}

    @operation("DescribeStackResources", ("StackName", "PhysicalResourceId", "LogicalResourceId"))
    def describe_stack_resources(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        """All resources of the stack that is named, or that owns a resource."""
        if ("StackName" in params) == ("PhysicalResourceId" in params):
            raise _invalid("Specify either StackName or PhysicalResourceId")
        name = params.get("StackName")
        stack = self._named(name) if name is not None else self._owner(params["PhysicalResourceId"])
        wanted = params.get("LogicalResourceId")
        found = [one for one in stack.resources if wanted in (None, one.logical_id)]
        if wanted is not None and not found:
            raise _invalid(f"Resource {wanted} does not exist for stack {stack.name}")
        return {"StackResources": [one.shown(stack) for one in found]}

    def _owner(self, physical_id: str) -> Stack:
        for stack in self._all():
            owns = any(physical_id == one.physical_id and one.there for one in stack.resources)
            if owns and stack.status != "DELETE_COMPLETE":
                return stack
        raise _invalid(f"Stack for {physical_id} does not exist")

    def _named(self, reference: str) -> Stack:
        """By name, if it is not deleted, or by ARN."""
        for one in self._all():
            if reference == one.arn or (reference == one.name and one.status != "DELETE_COMPLETE"):
                return one
        raise _invalid(f"Stack with id {reference} does not exist")

    def _all(self) -> list[Stack]:
        deployed = [self._deployed(self.deployment)] if self.deployment is not None else []
        return [*deployed, *self.made.values()]

    @property
    def arn(self) -> str:
        """Of the deployed stack."""
        return self._arn(self.name, _DEPLOYED)

    def _arn(self, name: str, identifier: str) -> str:
        return self.kernel.arn("cloudformation", f"stack/{name}/{identifier}")

    def _deployed(self, deployment: Deployment) -> Stack:
        start = self.kernel.clock.start
        owned = [Owned(one.logical_id, one.type, start, one.ref) for one in deployment.resources.values()]
        outputs = {key: str(value) for key, value in deployment.outputs.items()}
        return Stack(self.name, self.arn, start, "CREATE_COMPLETE", owned, outputs=outputs)

    # --- changing ----------------------------------------------------------------------------------------------------
    @operation("CreateStack", ("StackName", "TemplateBody", "Tags"))
    def create_stack(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        name = params["StackName"]
        if any(one.name == name and one.status != "DELETE_COMPLETE" for one in self._all()):
            raise AwsError("AlreadyExistsException", f"Stack [{name}] already exists")
        now = self.kernel.clock.now()
        stack = Stack(name, self._arn(name, self._identifier()), now, "CREATE_IN_PROGRESS")
        stack.tags = {tag["Key"]: tag["Value"] for tag in params.get("Tags", [])}
        for logical_id, body in self._resources(params).items():
            properties = body.get("Properties", {})
            retained = body.get("DeletionPolicy", "Delete") == "Retain"
            owned = Owned(logical_id, body["Type"], now, properties=properties, retained=retained)
            stack.resources.append(owned)
        self.made[stack.arn] = stack
        self._work.create(stack, call)
        return {"StackId": stack.arn}

    @operation("UpdateStack", ("StackName", "TemplateBody"))
    def update_stack(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        stack = self._changeable(params["StackName"])
        bodies = self._resources(params)
        if set(bodies) != {one.logical_id for one in stack.resources}:
            raise Unmodelled("cloudformation:UpdateStack that adds or removes resources")
        properties = {logical_id: body.get("Properties", {}) for logical_id, body in bodies.items()}
        changed = [one for one in stack.resources if properties[one.logical_id] != one.properties]
        if not changed:
            raise _invalid("No updates are to be performed.")
        self._work.update(stack, changed, properties, call)
        return {"StackId": stack.arn}

    @operation("DeleteStack", ("StackName",))
    def delete_stack(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        """A stack that does not exist is deleted already."""
        found = [one for one in self.made.values() if params["StackName"] in (one.name, one.arn)]
        live = [one for one in found if one.status != "DELETE_COMPLETE"]
        if live:
            self._work.delete(self._changeable(live[0].arn), call)
        return {}

    def stand(self, name: str) -> None:
        """Let a stack be there that makes nothing."""
        arn = self._arn(name, self._identifier())
        self.made[arn] = Stack(name, arn, self.kernel.clock.now(), "CREATE_COMPLETE")

    def own(self, stack_name: str, logical_id: str, resource_type: str, physical_id: str) -> None:
        """Let a stack own a resource that is there already, as an import does."""
        stack = self._named(stack_name)
        owned = Owned(logical_id, resource_type, self.kernel.clock.now(), physical_id, retained=True)
        stack.resources.append(owned)

    @property
    def _work(self) -> StackWork:
        if self.gateway is None:
            raise Unmodelled("cloudformation: stacks in a world whose CloudFormation calls nobody")
        return StackWork(self.kernel, self.gateway)

    def _changeable(self, reference: str) -> Stack:
        stack = self._named(reference)
        if stack.arn not in self.made:
            raise Unmodelled(f"cloudformation: a change of the deployed stack {stack.name}")
        if stack.status.endswith("_IN_PROGRESS"):
            raise _invalid(f"Stack:{stack.arn} is in {stack.status} state and can not be updated.")
        return stack

    def _resources(self, params: Mapping[str, Any]) -> dict[str, Any]:
        template = yaml.safe_load(params["TemplateBody"])
        if not isinstance(template, dict) or not template.get("Resources"):
            raise _invalid("Template format error: At least one Resources member must be defined.")
        _only(template, _SECTIONS, "template section")
        resources: dict[str, Any] = template["Resources"]
        for logical_id, body in resources.items():
            _only(body, _MEMBERS, f"member of {logical_id}")
            if body.get("Type") != EXPRESS:
                raise Unmodelled(f"cloudformation: {logical_id} of type {body.get('Type')}")
            if _functions(body):
                raise Unmodelled(f"cloudformation: functions in {logical_id}")
        return resources

    def _identifier(self) -> str:
        return f"{len(self.made) + 1:08x}-0000-4000-8000-000000000000"


def _functions(value: Any) -> bool:
    """Whether there is a function in it, such as Ref or Fn::Sub."""
    if isinstance(value, Mapping):
        return any(name == "Ref" or str(name).startswith("Fn::") or _functions(each) for name, each in value.items())
    return isinstance(value, list) and any(_functions(each) for each in value)


def _only(value: Mapping[str, Any], known: Iterable[str], what: str) -> None:
    extra = sorted(set(value) - set(known))
    if extra:
        raise Unmodelled(f"cloudformation: {what} {json.dumps(extra[0])} is not modelled")


def _invalid(message: str) -> AwsError:
    return AwsError("ValidationError", message)
