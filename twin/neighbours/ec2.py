"""Amazon EC2, as far as ECS needs it: instances and their states, scheduled events, subnets, launch templates, security
groups, network interfaces.

Sources: EC2 API (DescribeInstances, DescribeInstanceStatus, TerminateInstances, StopInstances …) and the user guide's
pages on the instance life cycle, scheduled events and Spot interruptions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from twin.errors import AwsError, Unmodelled, WorldError
from twin.kernel.api import Api, Call, operation
from twin.kernel.kernel import Kernel
from twin.neighbours.common import Bus, FilterValues, after, emit, filtered, hex_id, page, tag_list, tag_map
from twin.neighbours.ec2_requests import BAD_TOKEN as _BAD_TOKEN
from twin.neighbours.ec2_requests import limit
from twin.neighbours.group_store import SecurityGroupStore
from twin.neighbours.instance_types import instance_type
from twin.neighbours.instances import (
    Ec2Instance,
    EcsHook,
    EventCode,
    ScheduledEvent,
    State,
    Subnet,
    Zone,
    instance_view,
    state_view,
    status_view,
    visible_events,
)
from twin.neighbours.interfaces import InterfaceOperations, InterfaceStore
from twin.neighbours.launch_templates import LaunchTemplate, LaunchTemplateOperations
from twin.neighbours.network import NetworkOperations

DESCRIPTIONS: Mapping[str, str] = {
    "instance-retirement": "The instance is running on degraded hardware",
    "instance-stop": "The instance is scheduled to be stopped",
    "instance-reboot": "The instance is scheduled for a reboot",
    "system-reboot": "The instance is scheduled for a reboot",
    "system-maintenance": "The instance is scheduled for system maintenance",
}
_USER = ("Client.UserInitiatedShutdown", "Client.UserInitiatedShutdown: User initiated shutdown")
_AWS = ("Server.ScheduledStop", "Server.ScheduledStop: Stopped due to a scheduled retirement")
_FAILED = ("Server.InternalError", "Server.InternalError: Internal error on launch")
_SPOT = ("Server.SpotInstanceTermination", "Server.SpotInstanceTermination: Instance terminated by Spot service")


@dataclass
class CapacityFault:
    """EC2 has no (or only some) capacity left.

    Attributes:
        zone, instance_type: what runs out; None is any.
        after, until: simulated seconds since the start between which it holds; `until` None is for ever.
        left: instances that can still be launched; it falls with each.
    """

    zone: str | None = None
    instance_type: str | None = None
    after: float = 0.0
    until: float | None = None
    left: int = 0

    def concerns(self, zone: str, kind: str, elapsed: float) -> bool:
        in_time = self.after <= elapsed and (self.until is None or elapsed < self.until)
        return in_time and self.zone in (None, zone) and self.instance_type in (None, kind)


@dataclass
class LaunchFault:
    """Instances that EC2 accepts but that never reach `running` (EC2: "may fail to launch", InternalError).

    Attributes:
        group: Auto Scaling group that is struck; None strikes all.
        times: how many instances; None is all.
        after, until: simulated seconds since the start.
    """

    group: str | None = None
    times: int | None = 1
    after: float = 0.0
    until: float | None = None

    def strikes(self, group: str | None, elapsed: float) -> bool:
        in_time = self.after <= elapsed and (self.until is None or elapsed < self.until)
        return in_time and self.times != 0 and self.group in (None, group)


@dataclass
class Ec2Options:
    """A world's choices. Times in simulated seconds.

    Attributes:
        pending: launch until `running`.
        boot: `running` until the operating system is up and the ECS agent starts.
        shutdown: `shutting-down` until `terminated`.
        stop: `stopping` until `stopped`.
        initializing: `running` for which status checks say `initializing`.
        terminated_visible: how long a terminated instance is still described ("a short while, about an hour").
        spot_warning: interruption warning until the instance is taken (user guide: two minutes).
        no_capacity, launch_faults: see there.
    """

    pending: float = 15.0
    boot: float = 45.0
    shutdown: float = 40.0
    stop: float = 40.0
    initializing: float = 120.0
    terminated_visible: float = 3600.0
    spot_warning: float = 120.0
    no_capacity: list[CapacityFault] = field(default_factory=list)
    launch_faults: list[LaunchFault] = field(default_factory=list)


@dataclass(frozen=True)
class Launch:
    """What to launch; see `Ec2.launch`. `instance_id` None takes one from the world's seed; without `groups` (ids of
    security groups) it gets its VPC's default one."""

    instance_type: str
    subnet_id: str
    image_id: str = "ami-0123456789abcdef0"
    instance_id: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    user_data: str = ""
    market: Literal["on-demand", "spot"] = "on-demand"
    template: Mapping[str, Any] = field(default_factory=dict)
    root_device: Literal["ebs", "instance-store"] = "ebs"
    termination_protected: bool = False
    groups: Sequence[str] = ()


class InsufficientCapacityError(Exception):
    """EC2's InsufficientInstanceCapacity for a zone and type; `str()` is AWS's message."""

    code = "InsufficientInstanceCapacity"

    def __init__(self, zone: str, kind: str) -> None:
        super().__init__(
            f"We currently do not have sufficient {kind} capacity in the Availability Zone you requested ({zone})."
        )


class Ec2(NetworkOperations, InterfaceOperations, LaunchTemplateOperations, Api):
    """The EC2 API and the machinery behind it.

    Attributes:
        ecs: told of boots, stops and ends; set by whoever composes the world.
        listeners: called after each change of an instance's state.
        event_listeners: called with (instance, event) when an event is scheduled.
    """

    service = "ec2"

    def __init__(self, kernel: Kernel, bus: Bus, options: Ec2Options | None = None) -> None:
        self.kernel = kernel
        self.bus = bus
        self.options = options or Ec2Options()
        self.ecs: EcsHook | None = None
        self.listeners: list[Callable[[Ec2Instance], None]] = []
        self.event_listeners: list[Callable[[Ec2Instance, ScheduledEvent], None]] = []
        self.zones: dict[str, Zone] = {}
        self.subnets: dict[str, Subnet] = {}
        self.instances: dict[str, Ec2Instance] = {}
        self.templates: dict[str, LaunchTemplate] = {}
        self.security_groups = SecurityGroupStore(kernel)
        self.interfaces = InterfaceStore(kernel)
        self.group_holders = [self.interfaces.of_group]
        self._ids = kernel.rng("ec2/ids")

    # --- life of an instance -----------------------------------------------------------------------------------------
    def check_capacity(self, zone: str, kind: str) -> None:
        """Take capacity for one `kind` in `zone`; InsufficientCapacityError if there is none."""
        instance_type(kind)
        if not self.kernel.settled:
            return
        elapsed = self.kernel.clock.elapsed
        faults = [one for one in self.options.no_capacity if one.concerns(zone, kind, elapsed)]
        if any(fault.left <= 0 for fault in faults):
            raise InsufficientCapacityError(zone, kind)
        for fault in faults:
            fault.left -= 1

    def new_id(self) -> str:
        """An instance id from the world's seed."""
        return hex_id(self._ids, "i-")

    def launch(self, wanted: Launch) -> Ec2Instance:
        """Launch one instance: `pending`, then `running`, then booted. WorldError for an unknown subnet or used id."""
        for group in wanted.groups:
            if group not in self.security_groups.groups:
                raise Unmodelled(f"ec2: launch of an instance into security group {group!r}, which does not exist")
        subnet = self.subnets.get(wanted.subnet_id)
        if subnet is None:
            raise WorldError(f"subnet {wanted.subnet_id!r} is not in the world")
        instance_type(wanted.instance_type)
        instance_id = wanted.instance_id or self.new_id()
        if instance_id in self.instances:
            raise WorldError(f"instance id {instance_id!r} is used twice")
        instance = Ec2Instance(
            instance_id=instance_id,
            number=len(self.instances),
            instance_type=wanted.instance_type,
            subnet=subnet,
            image_id=wanted.image_id,
            launch_time=self.kernel.clock.now().replace(microsecond=0),
            private_ip=subnet.take_ip(),
            tags=dict(wanted.tags),
            user_data=wanted.user_data,
            market=wanted.market,
            root_device=wanted.root_device,
            template=dict(wanted.template),
            termination_protected=wanted.termination_protected,
            reservation_id=hex_id(self._ids, "r-"),
        )
        self.instances[instance_id] = instance
        instance.interface_id = self.add_interface(
            wanted.subnet_id, wanted.groups, private_ip=instance.private_ip, instance_id=instance_id
        )
        self._enter(instance, "pending")
        after(self.kernel, self.options.pending, lambda: self._run(instance), name=f"run:{instance_id}")
        return instance

    def _run(self, instance: Ec2Instance) -> None:
        if instance.state != "pending":
            return
        if self._launch_fails(instance):
            instance.state_reason = _FAILED
            self._end(instance)
            return
        self._enter(instance, "running")
        after(self.kernel, self.options.boot, lambda: self._boot(instance), name=f"boot:{instance.instance_id}")

    def _launch_fails(self, instance: Ec2Instance) -> bool:
        if not self.kernel.settled:
            return False
        for fault in self.options.launch_faults:
            if fault.strikes(instance.group_name, self.kernel.clock.elapsed):
                fault.times = None if fault.times is None else fault.times - 1
                return True
        return False

    def _boot(self, instance: Ec2Instance) -> None:
        cluster = instance.cluster_name
        if instance.state == "running" and self.ecs and cluster:
            self.ecs.host_booted(instance, cluster)

    def terminate(self, instance: Ec2Instance, cause: Call | None, reason: tuple[str, str] = _USER) -> None:
        """Shut an instance down for good; nothing happens if that is under way or done.

        The cause of a host that was stopped before stays the call that stopped it: its tasks ended then.
        """
        if instance.state in ("shutting-down", "terminated"):
            return
        if instance.state not in ("stopping", "stopped"):
            instance.end_cause = cause
        instance.state_reason = reason
        instance.transition_reason = self._transition(reason)
        self._enter(instance, "shutting-down")
        if self.ecs:
            self.ecs.instance_terminated(instance.instance_id, cause)
        after(self.kernel, self.options.shutdown, lambda: self._end(instance), name=f"end:{instance.instance_id}")

    def _end(self, instance: Ec2Instance) -> None:
        instance.terminated = self.kernel.clock.now()
        self.remove_interface(instance.interface_id)
        self._complete_events(instance)
        self._enter(instance, "terminated")

    def stop(self, instance: Ec2Instance, cause: Call | None, reason: tuple[str, str] = _USER) -> None:
        """Stop a running instance; nothing happens if it does not run."""
        if instance.state != "running":
            return
        instance.end_cause = cause
        instance.state_reason = reason
        instance.transition_reason = self._transition(reason)
        self._enter(instance, "stopping")
        if self.ecs:
            self.ecs.instance_stopped(instance.instance_id)
        after(self.kernel, self.options.stop, lambda: self._stopped(instance), name=f"stop:{instance.instance_id}")

    def _stopped(self, instance: Ec2Instance) -> None:
        if instance.state == "stopping":
            self._complete_events(instance)
            self._enter(instance, "stopped")

    def _transition(self, reason: tuple[str, str]) -> str:
        by = "User initiated" if reason is _USER else "Service initiated"
        return f"{by} ({self.kernel.clock.now():%Y-%m-%d %H:%M:%S} GMT)"

    def _enter(self, instance: Ec2Instance, state: State) -> None:
        instance.state = state
        instance_id = instance.instance_id
        if self.kernel.settled:
            self.kernel.note(f"instance.{state}", f"{instance_id} is {state}", instance=instance_id, zone=instance.zone)
        arn = self.kernel.arn("ec2", f"instance/{instance_id}")
        detail = {"instance-id": instance_id, "state": state}
        emit(self.kernel, self.bus, "aws.ec2", "EC2 Instance State-change Notification", detail, [arn])
        for listener in list(self.listeners):
            listener(instance)

    # --- scheduled events, Spot --------------------------------------------------------------------------------------
    def schedule_event(
        self,
        instance_id: str,
        code: EventCode,
        not_before: datetime,
        *,
        not_after: datetime | None = None,
        deadline: datetime | None = None,
        description: str | None = None,
        event_id: str | None = None,
    ) -> ScheduledEvent:
        """Announce a scheduled event, and carry it out at its date if the instance still runs then.

        A retirement stops an EBS-backed instance and terminates one on instance store. Reboots and maintenance are
        announced, but a run that reaches their date raises Unmodelled.
        """
        instance = self.instances.get(instance_id)
        if instance is None:
            raise WorldError(f"scheduled event: instance {instance_id!r} is not in the world")
        event = ScheduledEvent(
            event_id or hex_id(self._ids, "instance-event-"),
            code,
            description or DESCRIPTIONS[code],
            not_before,
            not_after,
            deadline,
        )
        instance.events.append(event)
        due = (not_before - self.kernel.clock.start).total_seconds()
        self.kernel.scheduler.call_at(
            due, lambda: self._carry_out(instance, event), name=f"{code}:{instance_id}", background=True
        )
        for listener in list(self.event_listeners):
            listener(instance, event)
        return event

    def _carry_out(self, instance: Ec2Instance, event: ScheduledEvent) -> None:
        if event.completed or not instance.alive:
            return
        if event.code not in ("instance-retirement", "instance-stop"):
            raise Unmodelled(f"EC2 scheduled event {event.code} of {instance.instance_id} has reached its date")
        event.completed = self.kernel.clock.now()
        if event.code == "instance-retirement" and instance.root_device == "instance-store":
            self.terminate(instance, None, _AWS)
        else:
            self.stop(instance, None, _AWS)

    def _complete_events(self, instance: Ec2Instance) -> None:
        for event in instance.events:
            event.completed = event.completed or self.kernel.clock.now()

    def interrupt_spot(self, instance_id: str) -> None:
        """Warn of a Spot interruption, and take the instance when the warning time is over (user guide: 2 minutes)."""
        instance = self.instances[instance_id]
        if instance.market != "spot":
            raise WorldError(f"instance {instance_id!r} is not a Spot Instance")
        arn = f"arn:aws:ec2:{instance.zone}:instance/{instance_id}"  # non-standard, as documented
        detail = {"instance-id": instance_id, "instance-action": "terminate"}
        emit(self.kernel, self.bus, "aws.ec2", "EC2 Spot Instance Interruption Warning", detail, [arn])
        take = self.options.spot_warning
        after(self.kernel, take, lambda: self.terminate(instance, None, _SPOT), name=f"spot:{instance_id}")

    # --- operations: instances ---------------------------------------------------------------------------------------
    @operation("DescribeInstances", ("InstanceIds", "Filters", "MaxResults", "NextToken"))
    def describe_instances(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        ids = params.get("InstanceIds")
        most = limit(params, "InstanceIds")
        found = self._found(ids) if ids else self._visible()
        found = filtered(
            found, params.get("Filters", []), _INSTANCE_FILTERS, lambda one: one.tags, "ec2:DescribeInstances"
        )
        shown, token = page(found, params.get("NextToken"), most, lambda one: one.number, _BAD_TOKEN)
        reservations = [
            {
                "ReservationId": one.reservation_id,
                "OwnerId": self.kernel.account,
                "Groups": [],
                "Instances": [instance_view(one)],
            }
            for one in shown
        ]
        return {"Reservations": reservations} | ({"NextToken": token} if token else {})

    @operation("DescribeInstanceStatus", ("InstanceIds", "Filters", "MaxResults", "NextToken", "IncludeAllInstances"))
    def describe_instance_status(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        ids = params.get("InstanceIds")
        most = limit(params, "InstanceIds")
        if ids and len(ids) > 100:
            raise AwsError("InvalidParameterValue", "At most 100 instance IDs can be specified explicitly.")
        found = self._found(ids) if ids else self._visible()
        if not params.get("IncludeAllInstances", False):
            found = [one for one in found if one.state == "running"]
        now = self.kernel.clock.now()
        known: dict[str, FilterValues[Ec2Instance]] = {
            "availability-zone": lambda one: [one.zone],
            "instance-state-name": lambda one: [one.state],
            "event.code": lambda one: [event.code for event in visible_events(one, now)],
            "event.instance-event-id": lambda one: [event.event_id for event in visible_events(one, now)],
        }
        filters = params.get("Filters", [])
        found = filtered(found, filters, known, lambda one: one.tags, "ec2:DescribeInstanceStatus")
        shown, token = page(found, params.get("NextToken"), most, lambda one: one.number, _BAD_TOKEN)
        initializing = timedelta(seconds=self.options.initializing)
        statuses = [status_view(one, now, initializing) for one in shown]
        return {"InstanceStatuses": statuses} | ({"NextToken": token} if token else {})

    @operation("TerminateInstances", ("InstanceIds",))
    def terminate_instances(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        found = self._found(params["InstanceIds"])
        for instance in found:
            if instance.termination_protected and instance.state != "terminated":
                raise AwsError(
                    "OperationNotPermitted",
                    f"The instance '{instance.instance_id}' may not be terminated. Modify its 'disableApiTermination' "
                    "instance attribute and try again.",
                )
        return {"TerminatingInstances": [self._changed(one, lambda i: self.terminate(i, call)) for one in found]}

    @operation("StopInstances", ("InstanceIds", "Force"))
    def stop_instances(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        found = self._found(params["InstanceIds"])
        for instance in found:
            if instance.state in ("pending", "shutting-down", "terminated"):
                raise AwsError(
                    "IncorrectInstanceState",
                    f"This instance '{instance.instance_id}' is not in a state from which it can be stopped.",
                )
            if instance.market == "spot":
                raise AwsError(
                    "UnsupportedOperation",
                    f"You can't stop the Spot Instance '{instance.instance_id}' because it is associated with a "
                    "one-time Spot Instance request. You can only stop Spot Instances associated with persistent Spot "
                    "Instance requests.",
                )
        return {"StoppingInstances": [self._changed(one, lambda i: self.stop(i, call)) for one in found]}

    @operation("CreateTags", ("Resources", "Tags"))
    def create_tags(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        for resource in params["Resources"]:
            self._tags_of(resource).update(tag_map(params["Tags"]))
        return {}

    @operation("DeleteTags", ("Resources", "Tags"))
    def delete_tags(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        for resource in params["Resources"]:
            tags = self._tags_of(resource)
            for tag in params.get("Tags") or tag_list(tags):
                if "Value" not in tag or tags.get(tag["Key"]) == tag["Value"]:
                    tags.pop(tag["Key"], None)
        return {}

    def tags_of(self, arn: str) -> Mapping[str, str]:
        """The resource's tags, by its ARN; none for what does not exist. IAM's conditions on tags read them."""
        resource = arn.rpartition("/")[2]
        if resource == "*" or "/" not in arn:
            return {}
        try:
            return self._tags_of(resource)
        except AwsError:
            return {}

    def _tags_of(self, resource: str) -> dict[str, str]:
        if resource.startswith("i-"):
            return self._found([resource])[0].tags
        if resource.startswith("lt-"):
            return self.template(resource, None).tags
        if resource.startswith("sg-"):
            return self.security_group(resource).tags
        if resource.startswith("sgr-"):
            return self._rule(resource).tags
        if resource.startswith("eni-"):
            return self._interface(resource).tags
        raise Unmodelled(f"ec2: tags of {resource!r} are not modelled")

    def _changed(self, instance: Ec2Instance, change: Callable[[Ec2Instance], None]) -> dict[str, Any]:
        before = state_view(instance.state)
        change(instance)
        return {
            "InstanceId": instance.instance_id,
            "PreviousState": before,
            "CurrentState": state_view(instance.state),
        }

    def _visible(self) -> list[Ec2Instance]:
        now = self.kernel.clock.now()
        oldest = now - timedelta(seconds=self.options.terminated_visible)
        return [one for one in self.instances.values() if one.terminated is None or one.terminated >= oldest]

    def _found(self, ids: Sequence[str]) -> list[Ec2Instance]:
        for instance_id in ids:
            if not instance_id.startswith("i-") or len(instance_id) < 10:
                raise AwsError("InvalidInstanceID.Malformed", f'Invalid id: "{instance_id}"')
        visible = {one.instance_id: one for one in self._visible()} if len(ids) > 1 else self._one(ids[0])
        unknown = [instance_id for instance_id in ids if instance_id not in visible]
        if len(unknown) == 1:
            raise AwsError("InvalidInstanceID.NotFound", f"The instance ID '{unknown[0]}' does not exist")
        if unknown:
            raise AwsError("InvalidInstanceID.NotFound", f"The instance IDs '{', '.join(unknown)}' do not exist")
        return sorted((visible[instance_id] for instance_id in dict.fromkeys(ids)), key=lambda one: one.number)

    def _one(self, instance_id: str) -> dict[str, Ec2Instance]:
        found = self.instances.get(instance_id)
        oldest = self.kernel.clock.now() - timedelta(seconds=self.options.terminated_visible)
        if found is None or (found.terminated and found.terminated < oldest):
            return {}
        return {instance_id: found}


_INSTANCE_FILTERS: dict[str, FilterValues[Ec2Instance]] = {
    "availability-zone": lambda one: [one.zone],
    "image-id": lambda one: [one.image_id],
    "instance-id": lambda one: [one.instance_id],
    "instance-lifecycle": lambda one: ["spot"] if one.market == "spot" else [],
    "instance-state-name": lambda one: [one.state],
    "instance-type": lambda one: [one.instance_type],
    "private-ip-address": lambda one: [one.private_ip],
    "subnet-id": lambda one: [one.subnet_id],
    "vpc-id": lambda one: [one.vpc_id],
}
