"""Builds a world's fleet through the AWS API, before the clock starts.

Nothing here reaches past the API but for three things that no API gives: the network (zones and subnets), the ids that
instances get, and the scheduled events of EC2.
"""

from __future__ import annotations

import base64
import json
from collections import deque
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from twin.errors import AwsError, Unmodelled, WorldError
from twin.kernel.api import WORLD
from twin.rehearsal import express, releases
from twin.rehearsal import fleet_requests as requests
from twin.rehearsal.account import AccountBuilder, in_stacks
from twin.rehearsal.balancers import Balanced, Balancers
from twin.rehearsal.events import moment_of
from twin.rehearsal.networks import DEFAULT_VPC, Networks
from twin.rehearsal.spec import Demand, Group, Service, Task, WorldSpec

if TYPE_CHECKING:
    from twin.world import World

_SECURITY_GROUP = "sg-0123456789abcdef0"
_IMAGE = "ami-0123456789abcdef0"


class FleetBuilder:
    """Builds the fleet of one world; `balanced` maps `cluster/service` to what the service is reached through."""

    def __init__(self, world: World, spec: WorldSpec) -> None:
        self._world = world
        self._spec = spec
        self._networks = Networks(world.ec2, spec)
        self._account = AccountBuilder(world, spec)
        self._balancers: Balancers
        self._where = ""
        self.balanced: dict[str, Balanced] = {}

    def build(self) -> None:
        """Raises WorldError naming the group, service or task that AWS refuses."""
        try:
            self._build()
        except AwsError as error:
            raise WorldError(f"{self._place}: AWS refuses it: {error.code}: {error.message}") from None
        except Unmodelled as error:
            raise WorldError(f"{self._place}: the twin does not model this: {error}") from None

    @property
    def _place(self) -> str:
        return self._account.where or self._where

    def _build(self) -> None:
        spec = self._spec
        self._network()
        for cluster in spec.clusters:
            self._where = f"cluster {cluster}"
            self._call("ecs", "CreateCluster", clusterName=cluster)
        for index, group in enumerate(spec.groups):
            self._where = f"groups[{index}] {group.name}"
            self._group(group)
        self._providers()
        for index, group in enumerate(spec.groups):
            self._where = f"groups[{index}] {group.name}"
            self._fill(group)
        for index, service in enumerate(spec.services):
            for name in service.names:
                self._where = f"services[{index}] {name}"
                self._service(service, name)
        for index, task in enumerate(spec.tasks):
            self._where = f"tasks[{index}] {task.family}"
            self._task(task)
        self._maintenance()
        self._account.build()
        self._account.where, self._where = "", "services"
        self._know_stacks()
        self._check()

    def _call(self, service: str, operation: str, **params: Any) -> dict[str, Any]:
        given = {name: value for name, value in params.items() if value is not None}
        answer: dict[str, Any] = self._world.gateway.call(service, operation, given, WORLD)
        return answer

    # --- hosts -------------------------------------------------------------------------------------------------------
    def _network(self) -> None:
        self._networks.build()
        self._world.ec2.add_security_group(_SECURITY_GROUP, DEFAULT_VPC, "tasks")
        self._balancers = Balancers(self._call, self._subnets, DEFAULT_VPC)

    @property
    def _subnets(self) -> dict[str, str]:
        return self._networks.subnets

    @property
    def vpcs(self) -> dict[str, str]:
        """Ids of the VPCs by name."""
        return self._networks.vpcs

    @property
    def own(self) -> dict[str, str]:
        """What the names of the world's `own` calls stand for."""
        return self._account.own

    def subnet_named(self, name: str, *, public: bool) -> str | None:
        """`ZONE` of the default VPC, or `VPC:ZONE`."""
        return self._networks.named(name, public=public)

    def subnets_of(self, service: Service) -> list[str]:
        """Where an Express service is."""
        assert service.express is not None
        return self._networks.of(service.express.vpc, public=service.express.public)

    def _subnet_ids(self, zones: list[str]) -> list[str]:
        return [self._subnets[zone] for zone in zones or self._spec.zones]

    def _group(self, group: Group) -> None:
        """The group, still empty: its capacity provider must exist before its first instance registers."""
        user_data = f"#!/bin/bash\necho ECS_CLUSTER={self._spec.cluster_of(group)} >> /etc/ecs/ecs.config\n"
        if group.attributes:
            user_data += f"echo 'ECS_INSTANCE_ATTRIBUTES={json.dumps(group.attributes)}' >> /etc/ecs/ecs.config\n"
        data = {
            "ImageId": _IMAGE,
            "InstanceType": group.instance_type,
            "UserData": base64.b64encode(user_data.encode()).decode(),
        }
        self._call("ec2", "CreateLaunchTemplate", LaunchTemplateName=f"{group.name}-template", LaunchTemplateData=data)
        self._call(
            "autoscaling",
            "CreateAutoScalingGroup",
            AutoScalingGroupName=group.name,
            MinSize=0,
            MaxSize=group.largest,
            DesiredCapacity=0,
            VPCZoneIdentifier=",".join(self._subnet_ids(list(group.zones))),
            HealthCheckGracePeriod=int(group.health_check_grace_period),
            NewInstancesProtectedFromScaleIn=group.protected_from_scale_in,
            **requests.template_of(group),
        )
        self._world.autoscaling.instance_ids[group.name] = deque(group.instances)

    def _providers(self) -> None:
        for cluster in self._spec.clusters:
            self._where = f"capacity providers of cluster {cluster}"
            names = [name for group in self._spec.groups for name in self._provider(group, cluster)]
            if names:
                self._call(
                    "ecs",
                    "PutClusterCapacityProviders",
                    cluster=cluster,
                    capacityProviders=names,
                    defaultCapacityProviderStrategy=[],
                )

    def _provider(self, group: Group, cluster: str) -> Iterator[str]:
        provider = group.capacity_provider
        if provider is None or self._spec.cluster_of(group) != cluster:
            return
        found = self._call("autoscaling", "DescribeAutoScalingGroups", AutoScalingGroupNames=[group.name])
        arn = found["AutoScalingGroups"][0]["AutoScalingGroupARN"]
        name = provider.name or group.name
        self._call(
            "ecs", "CreateCapacityProvider", name=name, autoScalingGroupProvider=requests.provider_of(provider, arn)
        )
        yield name

    def _fill(self, group: Group) -> None:
        self._call(
            "autoscaling",
            "UpdateAutoScalingGroup",
            AutoScalingGroupName=group.name,
            MinSize=group.min_size,
            MaxSize=group.largest,
            DesiredCapacity=group.desired_capacity,
        )
        self._world.settle()
        for hook in group.lifecycle_hooks:
            self._call(
                "autoscaling",
                "PutLifecycleHook",
                AutoScalingGroupName=group.name,
                LifecycleHookName=hook.name,
                LifecycleTransition=f"autoscaling:EC2_INSTANCE_{hook.transition.upper()}",
                HeartbeatTimeout=int(hook.heartbeat_timeout),
                DefaultResult=hook.default_result,
            )
        if group.suspended_processes:
            processes = list(group.suspended_processes)
            self._call("autoscaling", "SuspendProcesses", AutoScalingGroupName=group.name, ScalingProcesses=processes)

    def _maintenance(self) -> None:
        for index, event in enumerate(self._spec.maintenance):
            self._where = f"maintenance[{index}]"
            delay, moment = moment_of(event.not_before)
            start = self._world.kernel.clock.start
            self._world.ec2.schedule_event(
                event.instance, event.code, moment or start + timedelta(seconds=delay), description=event.description
            )

    # --- services and tasks ------------------------------------------------------------------------------------------
    def _service(self, service: Service, name: str) -> None:
        cluster = self._spec.cluster_of(service)
        if service.express:
            self._express(service, name, cluster)
            return
        balancers = []
        if service.load_balancer:
            port = requests.balanced_port(service)
            interfaces = service.network_mode == "awsvpc"
            found = self._balancers.add(service.load_balancer, name, port, interfaces=interfaces)
            self.balanced[f"{cluster}/{name}"] = found
            balancer: dict[str, Any] = {"targetGroupArn": found.target_group}
            balancer |= {"containerName": name, "containerPort": port}
            if service.release and found.alternate:
                balancer["advancedConfiguration"] = releases.advanced(found, self._spec.account)
            balancers = [balancer]
        self._define(service, name, name)
        self._call(
            "ecs",
            "CreateService",
            cluster=cluster,
            serviceName=name,
            taskDefinition=name,
            desiredCount=None if service.daemon else service.desired_count,
            schedulingStrategy=service.scheduling_strategy,
            deploymentController={"type": service.deployment_controller},
            deploymentConfiguration=self._deployment_configuration(service),
            loadBalancers=balancers or None,
            healthCheckGracePeriodSeconds=int(service.health_check_grace_period) or None if balancers else None,
            placementConstraints=requests.constraints(service) or None,
            placementStrategy=requests.strategies(service) or None,
            capacityProviderStrategy=requests.shares(service) or None,
            launchType=None if service.capacity_provider_strategy else "EC2",
            availabilityZoneRebalancing=requests.rebalancing(service),
            networkConfiguration=self._interfaces(service),
        )
        self._world.settle()
        self._protect(service, name, cluster)

    def _express(self, service: Service, name: str, cluster: str) -> None:
        if name in in_stacks(self._spec):
            return
        arn = express.create(self._call, service, name, cluster, self._spec.account, self.subnets_of(service))
        self._world.settle()
        self.balanced[f"{cluster}/{name}"] = express.balanced(self._call, arn)

    def _know_stacks(self) -> None:
        """Services that stacks have made are reached as any."""
        for service in self._spec.services:
            for name in sorted(in_stacks(self._spec).intersection(service.names)):
                key = f"{self._spec.cluster_of(service)}/{name}"
                arn = self._world.kernel.arn("ecs", f"service/{key}")
                self.balanced[key] = express.balanced(self._call, arn)

    def _deployment_configuration(self, service: Service) -> dict[str, Any] | None:
        native = releases.configuration(service.release, self._world.deployment) if service.release else {}
        return {**requests.percents(service), **native} or None

    def _define(self, demand: Demand, family: str, container: str) -> None:
        self._call(
            "ecs",
            "RegisterTaskDefinition",
            family=family,
            networkMode=demand.network_mode,
            requiresCompatibilities=["EC2"],
            containerDefinitions=[requests.container(demand, container)],
        )

    def _interfaces(self, demand: Demand) -> dict[str, Any] | None:
        if demand.network_mode != "awsvpc":
            return None
        return {"awsvpcConfiguration": {"subnets": list(self._subnets.values()), "securityGroups": [_SECURITY_GROUP]}}

    def _protect(self, service: Service, name: str, cluster: str) -> None:
        if service.protection is None:
            return
        arns = self._call("ecs", "ListTasks", cluster=cluster, serviceName=name)["taskArns"]
        chosen = sorted(arns)[: service.protection.tasks]
        minutes = max(1, round(service.protection.expires_in / 60))
        for start in range(0, len(chosen), 10):
            tasks = chosen[start : start + 10]
            self._call(
                "ecs",
                "UpdateTaskProtection",
                cluster=cluster,
                tasks=tasks,
                protectionEnabled=True,
                expiresInMinutes=minutes,
            )

    def _task(self, task: Task) -> None:
        cluster = self._spec.cluster_of(task)
        self._define(task, task.family, task.family)
        constraints = requests.constraints(task)
        if task.instance:
            constraints.append({"type": "memberOf", "expression": f"ec2InstanceId == {task.instance}"})
        for start in range(0, task.count, 10):
            answer = self._call(
                "ecs",
                "RunTask",
                cluster=cluster,
                taskDefinition=task.family,
                count=min(10, task.count - start),
                launchType="EC2",
                startedBy=task.started_by,
                placementConstraints=constraints or None,
                placementStrategy=requests.strategies(task) or None,
                networkConfiguration=self._interfaces(task),
            )
            if answer.get("failures"):
                raise WorldError(f"{self._where}: cannot be placed: {answer['failures'][0].get('reason')}")
        self._world.settle()

    def _check(self) -> None:
        """Every service must have what it wants before the clock starts."""
        for index, service in enumerate(self._spec.services):
            for name in service.names:
                cluster = self._spec.cluster_of(service)
                found = self._call("ecs", "DescribeServices", cluster=cluster, services=[name])["services"][0]
                healthy = self._world.ecs.healthy_count(found["serviceArn"])
                if healthy >= found["desiredCount"] and not found.get("pendingCount"):
                    continue
                events = found.get("events") or [{"message": "ECS gives no reason"}]
                raise WorldError(
                    f"services[{index}] {name}: only {healthy} of {found['desiredCount']} tasks run and are healthy in "
                    f"the fleet as given: {events[0]['message']}"
                )
