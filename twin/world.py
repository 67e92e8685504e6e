"""The composition root: one simulated AWS account with Caretaker deployed into it and a fleet to look after."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from twin.ecs import Behaviour, Ecs, EcsOptions
from twin.ecs.express.options import ExpressOptions
from twin.errors import AwsError, WorldError
from twin.kernel.alarms import Alarms, CloudWatchOptions
from twin.kernel.api import WORLD, Call
from twin.kernel.bus import EventBus
from twin.kernel.cloudwatch import CloudWatch
from twin.kernel.dynamodb.api import DynamoDb
from twin.kernel.functions import Functions
from twin.kernel.gateway import Gateway
from twin.kernel.kernel import Kernel
from twin.kernel.machines import Machines
from twin.kernel.parameters import Parameters
from twin.kernel.queues import Queues
from twin.kernel.stacks import Stacks
from twin.kernel.template import Deployment, deploy
from twin.kernel.topics import Topics
from twin.neighbours.account import Account
from twin.neighbours.acm import AcmOptions
from twin.neighbours.autoscaling import AutoScaling, AutoScalingOptions, CapacityProvider
from twin.neighbours.ec2 import Ec2, Ec2Options
from twin.neighbours.elbv2 import Elbv2
from twin.neighbours.targets import Elbv2Options
from twin.rehearsal import faults
from twin.rehearsal.express import families
from twin.rehearsal.fields import Strict
from twin.rehearsal.fleet import FleetBuilder
from twin.rehearsal.releases import hook_faults
from twin.rehearsal.spec import WorldSpec
from twin.rehearsal.traffic import traffic_of, usage_of
from twin.traffic.model import TrafficOptions
from twin.traffic.traffic import Traffic

PROJECT = Path(__file__).resolve().parents[1]
"""Where template.yaml, functions/ and worlds/ are."""


class World:
    """A world, built and settled. A context manager: within, boto3 talks to this world and to nothing else.

    Args:
        spec: what it is made of.
        start: when its clock starts.
        seed: what everything random derives from.
        template: the SAM template to deploy.

    Raises:
        WorldError: the world cannot be built as given.
        Unmodelled: it, or the template, needs what the twin does not model.
    """

    def __init__(self, spec: WorldSpec, *, start: datetime, seed: int, template: Path | None = None) -> None:
        self.spec = spec
        self.template = template or PROJECT / "template.yaml"
        self.kernel = Kernel(start, seed=seed, region=spec.region, account=spec.account)
        self.gateway = Gateway(self.kernel, latency=spec.options.api_latency)
        self._compose()
        self._stack = ExitStack()
        self.deployment: Deployment
        self.traffic: Traffic | None = None
        self.fleet = FleetBuilder(self, spec)

    def _compose(self) -> None:
        kernel, gateway = self.kernel, self.gateway
        self.functions = Functions(kernel, gateway, self.template.parent / "functions")
        self.queues = Queues(kernel, gateway, self.functions)
        self.bus = EventBus(kernel, gateway, self.queues)
        self.topics = Topics(kernel, gateway)
        self.parameters = Parameters(kernel, gateway)
        self.machines = Machines(kernel, gateway, self.bus)
        watching = CloudWatchOptions(**_chosen(self.spec.options.cloudwatch))
        self.alarms = Alarms(kernel, self.topics, self.queues, self.bus, watching)
        self.cloudwatch = CloudWatch(self.alarms)
        self.ec2 = Ec2(kernel, self.bus, self._ec2_options())
        self.autoscaling = AutoScaling(kernel, self.bus, self.ec2, self._autoscaling_options())
        self.elbv2 = Elbv2(kernel, Elbv2Options(**_chosen(self.spec.options.elbv2)), ec2=self.ec2)
        self.ecs = Ecs(kernel, self.bus, self.elbv2, self._ecs_options(), gateway)
        self.ec2.ecs = self.ecs
        self.ecs.engine.network = self.ec2
        for api in (DynamoDb(kernel), self.cloudwatch, self.ec2, self.autoscaling, self.elbv2, self.ecs):
            gateway.register(api)
        gateway.completed.append(self._provider_changed)
        gateway.iam.names.group_of_instance = self._group_of
        self.account = Account(
            kernel,
            gateway,
            ec2=self.ec2,
            elbv2=self.elbv2,
            alarms=self.alarms,
            cloudwatch=self.cloudwatch,
            acm=AcmOptions(**_chosen(self.spec.options.acm)),
        )

    def __enter__(self) -> World:
        self._stack.enter_context(self.gateway.intercepted())
        try:
            self._build()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def _group_of(self, instance_id: str) -> str | None:
        """The group that an instance is in: what a role's permission to end it is held against."""
        instance = self.ec2.instances.get(instance_id)
        return instance.group_name if instance is not None else None

    def _provider_changed(self, call: Call, response: Mapping[str, Any]) -> None:
        """ECS puts the groups of its capacity providers under its management (Auto Scaling plans, protection)."""
        if (call.service, call.operation) != ("ecs", "CreateCapacityProvider"):
            return
        shown = response["capacityProvider"]
        settings = shown["autoScalingGroupProvider"]
        scaling = settings.get("managedScaling", {})
        provider = CapacityProvider(
            name=shown["name"],
            group_name=settings["autoScalingGroupArn"],
            scaling=scaling.get("status") == "ENABLED",
            target=scaling.get("targetCapacity", 100),
            min_step=scaling.get("minimumScalingStepSize", 1),
            max_step=scaling.get("maximumScalingStepSize", 10_000),
            warmup=scaling.get("instanceWarmupPeriod", 300),
            protects=settings.get("managedTerminationProtection") == "ENABLED",
            drains=settings.get("managedDraining") == "ENABLED",
        )
        self.autoscaling.manage(provider, self.ecs)

    # --- building ----------------------------------------------------------------------------------------------------
    def _build(self) -> None:
        self.deployment = deploy(
            self.template,
            self._parameters(),
            kernel=self.kernel,
            gateway=self.gateway,
            functions=self.functions,
            machines=self.machines,
            bus=self.bus,
            queues=self.queues,
            topics=self.topics,
            alarms=self.alarms,
        )
        self.stacks = Stacks(self.kernel, self.deployment, self.gateway)
        self.gateway.register(self.stacks)
        self._policy()
        self.fleet.build()
        self.settle()
        if self.kernel.clock.elapsed:
            raise RuntimeError("the fleet took simulated time to build")
        faults.strike(self)
        self._start_traffic()
        self.kernel.timeline.clear()
        self.kernel.settled = True

    def _start_traffic(self) -> None:
        self._start_requests()
        if self.traffic is not None or any(each.express and each.express.load for each in self.spec.services):
            usage_of(self).start()

    def _start_requests(self) -> None:
        if self.spec.traffic is None:
            return
        options = TrafficOptions(**_chosen(self.spec.options.traffic))
        traffic = traffic_of(self.spec.traffic, self)
        self.traffic = Traffic(self.kernel, self.elbv2, self.ecs, self.alarms.store, traffic, options)
        self.traffic.start()

    def settle(self) -> None:
        """Let everything that is due at this very moment happen."""
        self.kernel.scheduler.run(until=self.kernel.clock.elapsed)

    def _parameters(self) -> dict[str, str]:
        texts = {True: "true", False: "false"}
        return {
            name: texts[value] if isinstance(value, bool) else str(value)
            for name, value in self.spec.parameters.items()
        }

    @property
    def policy_path(self) -> str:
        return str(self.deployment.outputs["PolicyPath"])

    def _policy(self) -> None:
        for name, document in self.spec.policy.documents():
            parameter = f"{self.policy_path}/{name}"
            params = {"Name": parameter, "Value": json.dumps(document), "Type": "String", "Overwrite": True}
            try:
                self.gateway.call("ssm", "PutParameter", params, WORLD)
            except AwsError as error:
                raise WorldError(f"policy.{name}: {error.message}") from None

    def state_names(self, machine: str) -> list[str]:
        """Names of all states of a deployed machine, nested ones too."""
        return sorted(set(_states(json.loads(self.deployment.definitions[machine]))))

    # --- options -----------------------------------------------------------------------------------------------------
    def _ecs_options(self) -> EcsOptions:
        return dataclasses.replace(
            EcsOptions(**_chosen(self.spec.options.ecs)),
            express=self._express_options(),
            behaviours=_behaviours(self.spec),
            task_faults=faults.task_faults(self.spec),
            agent_faults=faults.agent_faults(self.spec),
            hook_faults=hook_faults(self.spec.faults),
        )

    def _express_options(self) -> ExpressOptions:
        chosen = _chosen(self.spec.options.express)
        lists = {name: tuple(value) for name, value in chosen.items() if isinstance(value, list)}
        return ExpressOptions(**{**chosen, **lists, "role_faults": faults.role_faults(self.spec)})

    def _ec2_options(self) -> Ec2Options:
        options = Ec2Options(**_chosen(self.spec.options.ec2))
        options.no_capacity = faults.capacity_faults(self.spec)
        options.launch_faults = faults.launch_faults(self.spec)
        return options

    def _autoscaling_options(self) -> AutoScalingOptions:
        return AutoScalingOptions(**_chosen(self.spec.options.autoscaling))

    # --- running -----------------------------------------------------------------------------------------------------
    def run(self, until: float, *, tick: Callable[[], object] | None = None) -> bool:
        """Run until nothing is open (True), or to `until` simulated seconds after the start (False)."""
        return self.kernel.scheduler.run(until, tick=tick, busy=lambda: self.queues.open)


def _chosen(choices: Strict) -> dict[str, Any]:
    return {name: value for name, value in choices.model_dump().items() if value is not None}


def _behaviours(spec: WorldSpec) -> dict[str, Behaviour]:
    """What the applications do, by family; a service's family has its name."""
    found = {
        name: Behaviour(start=service.start_seconds, stop=service.stop_seconds)
        for service in spec.services
        for name in families(spec, service)
    }
    jobs = {task.family: Behaviour(task.start_seconds, task.stop_seconds, task.run_for) for task in spec.tasks}
    return {family: behaviour for family, behaviour in {**found, **jobs}.items() if behaviour != Behaviour()}


def _states(definition: Any) -> list[str]:
    if isinstance(definition, list):
        return [name for each in definition for name in _states(each)]
    if not isinstance(definition, dict):
        return []
    own = list(definition["States"]) if isinstance(definition.get("States"), dict) else []
    return own + [name for each in definition.values() for name in _states(each)]
