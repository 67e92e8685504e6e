"""How Auto Scaling groups keep their size: launching, ending, replacing, balancing zones, trying again.

Sources: Auto Scaling user guide (instance life cycle, health checks, "Benefits of Auto Scaling for application
architecture" on rebalancing, suspended processes, termination policies) and API reference.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass
from datetime import timedelta

from twin.errors import AwsError
from twin.kernel.api import Call
from twin.kernel.kernel import Kernel
from twin.neighbours.common import Bus, after, emit, uuid
from twin.neighbours.ec2 import Ec2, InsufficientCapacityError, Launch
from twin.neighbours.groups import (
    LAUNCHING,
    TERMINATING,
    Activity,
    AutoScalingOptions,
    Group,
    Member,
)
from twin.neighbours.instances import GROUP_TAG, Ec2Instance, ScheduledEvent, Subnet
from twin.neighbours.lifecycle import Lifecycle
from twin.neighbours.scale_in import choose

_NO_MORE = "Could not scale to desired capacity because all remaining instances are protected from scale-in."


_LONG_AGO = timedelta(days=1)
"""For how long the hosts that a world begins with have been in service."""


@dataclass(frozen=True)
class Failure:
    """An instance that EC2 did not launch."""

    instance_type: str
    market: str
    subnet: Subnet
    code: str
    message: str


class Fleet:
    """The groups and what happens to them.

    Attributes:
        instance_ids: instance ids that a world wants a group's next launches to get, in order.
        launched, ended: instances that came into service and that left, by group, since the world was settled.
    """

    def __init__(self, kernel: Kernel, bus: Bus, ec2: Ec2, options: AutoScalingOptions) -> None:
        self.kernel = kernel
        self.bus = bus
        self.ec2 = ec2
        self.options = options
        self.groups: dict[str, Group] = {}
        self.instance_ids: dict[str, deque[str]] = {}
        self.launched: Counter[str] = Counter()
        self.ended: Counter[str] = Counter()
        self.ids = kernel.rng("autoscaling/ids")
        self.lifecycle = Lifecycle(kernel, bus, self.ids)
        self._choice = kernel.rng("autoscaling/scale-in")
        self._of: dict[str, tuple[Group, Member]] = {}
        self._activities = 0
        self._groups_made = 0
        self._launches = 0
        ec2.listeners.append(self._instance_changed)
        ec2.event_listeners.append(self._event_scheduled)

    def group(self, name_or_arn: str) -> Group:
        """The group; AwsError as Auto Scaling answers if there is none."""
        name = name_or_arn.rsplit("autoScalingGroupName/", 1)[-1]
        found = self.groups.get(name)
        if found is None:
            raise AwsError("ValidationError", f"AutoScalingGroup name not found - AutoScalingGroup {name} not found")
        return found

    def next_number(self) -> int:
        """The place of a new group in the order of creation."""
        self._groups_made += 1
        return self._groups_made

    def member(self, instance_id: str) -> tuple[Group, Member] | None:
        return self._of.get(instance_id)

    # --- size --------------------------------------------------------------------------------------------------------
    def set_desired(self, group: Group, desired: int, why: str, call: Call | None) -> None:
        """Change the desired capacity, which the caller has checked; `why` begins the text of what follows from it."""
        was = group.desired
        if desired == was:
            return
        group.desired = desired
        group.why = f"At {self._at()} {why} changing the desired capacity from {was} to {desired}.  "
        group.why_call = call
        group.shrink_failed = False
        if self.kernel.settled:
            self.kernel.note(
                "group.desired",
                f"{group.name}: desired capacity {was} → {desired}",
                group=group.name,
                was=was,
                desired=desired,
                cause=str(call) if call else None,
            )
        self.wake(group)

    def wake(self, group: Group) -> None:
        """Let the group compare what it has with what it wants, soon."""
        if not group.waking and not group.deleted:
            group.waking = True
            after(self.kernel, self.options.reaction, lambda: self._reconcile(group), name=f"group:{group.name}")

    def _reconcile(self, group: Group) -> None:
        group.waking = False
        if group.deleted:
            return
        replaced = self._replace_unhealthy(group)
        missing = group.target - len(group.live)
        if missing > 0:
            self._grow(group, missing, replaced)
        elif -missing > group.tolerated:
            self._shrink(group, -missing - group.tolerated)
        if len(group.live) == group.target:
            group.why, group.why_call = "", None
        self._watch_balance(group)

    def _grow(self, group: Group, count: int, replaced: int) -> None:
        """Launch `count` instances, `replaced` of them for unhealthy ones, in the zones that have the fewest."""
        if not group.runs("Launch"):
            return
        full: set[str] = set()
        while count > 0:
            counts = group.per_zone()
            open_zones = [zone for zone in group.zones if zone not in full]
            if not open_zones:
                self._retry_later(group)
                return
            zone = min(open_zones, key=lambda one: counts[one])
            cause = self._why_launched(group, for_unhealthy=replaced > 0)
            if isinstance(self.launch_one(group, self._subnet(group, zone), cause), list):
                full.add(zone)
            else:
                count -= 1
                replaced -= 1
        group.retry_delay = 0.0

    def _why_launched(self, group: Group, *, for_unhealthy: bool) -> str:
        if for_unhealthy:
            return (
                f"At {self._at()} an instance was launched in response to an unhealthy instance needing to be replaced."
            )
        size = len(group.live)
        return (
            f"{group.why}At {self._at()} an instance was started in response to a difference between desired and "
            f"actual capacity, increasing the capacity from {size} to {size + 1}."
        )

    def _retry_later(self, group: Group) -> None:
        """Try again by itself, more and more rarely; waiting for capacity keeps no world busy."""
        if not group.retrying:
            group.retrying = True
            group.retry_delay = min(max(self.options.retry, 2 * group.retry_delay), self.options.retry_most)
            self.kernel.scheduler.call_later(
                group.retry_delay, lambda: self._retry(group), name=f"retry:{group.name}", background=True
            )

    def _retry(self, group: Group) -> None:
        group.retrying = False
        if not group.waking:
            self._reconcile(group)

    def _subnet(self, group: Group, zone: str) -> Subnet:
        used = Counter(member.instance.subnet_id for member in group.live if member.instance)
        inside = [subnet for subnet in group.subnets if subnet.zone.name == zone]
        return min(inside, key=lambda one: used[one.subnet_id])

    def _shrink(self, group: Group, count: int) -> None:
        if not group.runs("Terminate"):
            return
        for _ in range(count):
            member = choose(group, self.kernel.clock.now(), self._choice)
            if member is None:
                self._say_protected(group)
                return
            self._scale_in(group, member, group.why, group.why_call)

    def _scale_in(self, group: Group, member: Member, why: str, call: Call | None) -> None:
        size = len(group.live)
        now = self._at()
        cause = (
            f"{why}At {now} an instance was taken out of service in response to a difference between desired and "
            f"actual capacity, shrinking the capacity from {size} to {size - 1}.  At {now} instance "
            f"{member.instance_id} was selected for termination."
        )
        self.terminate(group, member, cause, call)

    def _say_protected(self, group: Group) -> None:
        if group.shrink_failed:
            return
        group.shrink_failed = True
        activity = self._activity(group, "Terminating EC2 instance", group.why or "Scale in", {})
        activity.finish("Failed", self.kernel.clock.now(), _NO_MORE)

    def protection_changed(self, group: Group) -> None:
        group.shrink_failed = False
        self.wake(group)

    # --- launching ---------------------------------------------------------------------------------------------------
    def launch_one(self, group: Group, subnet: Subnet, cause: str) -> Member | list[Failure]:
        """Launch an instance of the first type that has capacity there; the failures of each type if none has."""
        market = self._market(group)
        failures = []
        for kind in self._types(group):
            try:
                self.ec2.check_capacity(subnet.zone.name, kind)
            except InsufficientCapacityError as error:
                failures.append(Failure(kind, market, subnet, error.code, str(error)))
            else:
                return self._start(group, subnet, kind, market, cause)
        self._launch_failed(group, subnet, cause, f"{failures[-1].message} Launching EC2 instance failed.")
        return failures

    def _types(self, group: Group) -> list[str]:
        template = self.ec2.template(group.kinds.template_id, None).version(group.kinds.version)
        return group.kinds.overrides or [template.data["InstanceType"]]

    def _market(self, group: Group) -> str:
        if group.kinds.purchase_options != "mixed":
            return group.kinds.purchase_options
        live = [member.instance.market for member in group.live if member.instance]
        above = max(0, len(live) + 1 - group.kinds.base)
        on_demand = group.kinds.base + -(-above * group.kinds.percent // 100)
        return "on-demand" if live.count("on-demand") < on_demand else "spot"

    def _start(self, group: Group, subnet: Subnet, kind: str, market: str, cause: str) -> Member:
        template = self.ec2.template(group.kinds.template_id, None)
        version = template.version(group.kinds.version)
        queue = self.instance_ids.get(group.name)
        instance_id = queue.popleft() if queue else self.ec2.new_id()
        place = {"Subnet ID": subnet.subnet_id, "Availability Zone": subnet.zone.name}
        activity = self._activity(group, f"Launching a new EC2 instance: {instance_id}", cause, place)
        used = {
            "LaunchTemplateId": template.template_id,
            "LaunchTemplateName": template.name,
            "Version": str(version.number),
        }
        self._launches += 1
        image = str(version.data.get("ImageId", "ami-0123456789abcdef0"))
        member = Member(
            instance_id=instance_id,
            instance_type=kind,
            zone=subnet.zone.name,
            zone_id=subnet.zone.zone_id,
            number=self._launches,
            template=used,
            protected=group.new_protected,
            activity=activity,
            image_id=image,
        )
        group.members[instance_id] = member
        self._of[instance_id] = (group, member)
        self.ec2.launch(
            Launch(
                instance_type=kind,
                subnet_id=subnet.subnet_id,
                image_id=image,
                instance_id=instance_id,
                tags=self._tags(group, version.instance_tags(), used),
                user_data=version.user_data,
                market="spot" if market == "spot" or version.market == "spot" else "on-demand",
                template=used,
                termination_protected=bool(version.data.get("DisableApiTermination", False)),
                groups=version.data.get("SecurityGroupIds", ()),
            )
        )
        return member

    @staticmethod
    def _tags(group: Group, from_template: dict[str, str], used: dict[str, str]) -> dict[str, str]:
        propagated = {key: value for key, (value, propagate) in group.tags.items() if propagate}
        return {
            **from_template,
            **propagated,
            GROUP_TAG: group.name,
            "aws:ec2launchtemplate:id": used["LaunchTemplateId"],
            "aws:ec2launchtemplate:version": used["Version"],
        }

    def _launch_failed(self, group: Group, subnet: Subnet, cause: str, message: str) -> None:
        place = {"Subnet ID": subnet.subnet_id, "Availability Zone": subnet.zone.name}
        text = f"Launching a new EC2 instance.  Status Reason: {message}"
        activity = self._activity(group, text, cause, place)
        activity.finish("Failed", self.kernel.clock.now(), message)
        self._announce(group, activity, "EC2 Instance Launch Unsuccessful", "Failed", "")
        self.kernel.note("group.launch-failed", f"{group.name}: {message}", group=group.name, zone=subnet.zone.name)

    def _instance_runs(self, group: Group, member: Member) -> None:
        def proceed(result: str) -> None:
            if result == "ABANDON":
                self._abandon_launch(group, member)
            else:
                self._into_service(group, member)

        if not self.lifecycle.wait(group, member, LAUNCHING, proceed):
            self._into_service(group, member)

    def _into_service(self, group: Group, member: Member) -> None:
        now = self.kernel.clock.now()
        member.lifecycle = "InService"
        member.in_service_at = now if self.kernel.settled else now - _LONG_AGO
        member.activity.finish("Successful", now)
        self._cool_down(group)
        self._announce(group, member.activity, "EC2 Instance Launch Successful", "InProgress", member.instance_id)
        if self.kernel.settled:
            self.launched[group.name] += 1
            self.kernel.note(
                "instance.in-service",
                f"{member.instance_id} is in service in {group.name}",
                instance=member.instance_id,
                group=group.name,
            )
        if group.balancing == member.instance_id:
            self._finish_balancing(group)
        elif self.kernel.settled:
            self.wake(group)

    def _abandon_launch(self, group: Group, member: Member) -> None:
        message = "The lifecycle action was abandoned."
        member.activity.finish("Cancelled", self.kernel.clock.now(), message)
        self._announce(group, member.activity, "EC2 Instance Launch Unsuccessful", "Cancelled", member.instance_id)
        cause = f"At {self._at()} an instance was taken out of service because its launch was abandoned."
        self.terminate(group, member, cause, None, hooks=False)
        self._retry_later(group)

    def _launch_lost(self, group: Group, member: Member, instance: Ec2Instance) -> None:
        """The instance ended before it came into service."""
        reason = instance.state_reason[1] if instance.state_reason else "unknown"
        message = (
            "Instance became unhealthy while waiting for instance to be in InService state. "
            f"Termination Reason: {reason}"
        )
        member.activity.finish("Cancelled", self.kernel.clock.now(), message)
        self._announce(group, member.activity, "EC2 Instance Launch Unsuccessful", "Cancelled", member.instance_id)
        self.lifecycle.drop(member)
        self._remove(group, member)
        self._retry_later(group)

    # --- ending ------------------------------------------------------------------------------------------------------
    def terminate(self, group: Group, member: Member, cause: str, call: Call | None, *, hooks: bool = True) -> Activity:
        """Take a member out of service and end its instance, after the group's termination hooks."""
        was_pending = member.pending
        self.lifecycle.drop(member)
        if member.lifecycle.startswith("Terminating"):
            self._end(group, member)
            return member.activity
        if was_pending and member.activity.end is None:
            member.activity.finish("Cancelled", self.kernel.clock.now(), "The instance was taken out of service.")
        place = {"Subnet ID": self._subnet_id(member), "Availability Zone": member.zone}
        member.lifecycle = "Terminating"
        member.cause = call
        member.activity = self._activity(group, f"Terminating EC2 instance: {member.instance_id}", cause, place)
        if group.balancing == member.instance_id:
            group.balancing, group.extra = None, 0
        gone = member.instance is not None and member.instance.state in ("shutting-down", "terminated")

        def proceed(result: str) -> None:
            member.lifecycle = "Terminating:Proceed"
            self._end(group, member)

        if gone or not hooks or was_pending or not self.lifecycle.wait(group, member, TERMINATING, proceed):
            self._end(group, member)
        return member.activity

    @staticmethod
    def _subnet_id(member: Member) -> str:
        return member.instance.subnet_id if member.instance else ""

    def _end(self, group: Group, member: Member) -> None:
        instance = member.instance or self.ec2.instances[member.instance_id]
        if instance.state == "terminated":
            self._gone(group, member)
        else:
            self.ec2.terminate(instance, member.cause)

    def _gone(self, group: Group, member: Member) -> None:
        member.lifecycle = "Terminated"
        member.activity.finish("Successful", self.kernel.clock.now())
        self._cool_down(group)
        self._announce(group, member.activity, "EC2 Instance Terminate Successful", "InProgress", member.instance_id)
        if self.kernel.settled:
            self.ended[group.name] += 1
        self._remove(group, member)
        self.wake(group)

    def _remove(self, group: Group, member: Member) -> None:
        group.members.pop(member.instance_id, None)
        self._of.pop(member.instance_id, None)
        if group.balancing == member.instance_id:
            group.balancing, group.extra = None, 0
        if group.delete_status and not group.members:
            group.deleted = True
            self.groups.pop(group.name, None)

    # --- health ------------------------------------------------------------------------------------------------------
    def _instance_changed(self, instance: Ec2Instance) -> None:
        known = self._of.get(instance.instance_id)
        if known is None:
            return
        group, member = known
        member.instance = instance
        if instance.state == "running" and member.lifecycle == "Pending":
            self._instance_runs(group, member)
        elif instance.state == "terminated" and member.lifecycle.startswith("Terminating"):
            self.lifecycle.drop(member)
            self._gone(group, member)
        elif not instance.alive and member.pending:
            self._launch_lost(group, member, instance)
        elif not instance.alive and member.lifecycle == "InService" and member.health == "Healthy":
            delay = self.options.health_check
            after(self.kernel, delay, lambda: self._check(group, member), name=f"health:{member.instance_id}")

    def _check(self, group: Group, member: Member) -> None:
        """The EC2 health check: an instance that does not run is unhealthy."""
        dead = member.instance is not None and not member.instance.alive
        if dead and member.lifecycle == "InService" and group.runs("HealthCheck"):
            self.mark_unhealthy(group, member)

    def check_all(self, group: Group) -> None:
        for member in group.live:
            self._check(group, member)

    def mark_unhealthy(self, group: Group, member: Member) -> None:
        member.health = "Unhealthy"
        self.wake(group)

    def _event_scheduled(self, instance: Ec2Instance, event: ScheduledEvent) -> None:
        known = self._of.get(instance.instance_id)
        ahead = self.options.acts_before_event
        if known is None or ahead is None or event.code not in ("instance-retirement", "instance-stop"):
            return
        group, member = known
        due = (event.not_before - self.kernel.clock.start).total_seconds() - ahead

        def act() -> None:
            if event.completed is None and member.lifecycle == "InService" and group.runs("HealthCheck"):
                self.mark_unhealthy(group, member)

        self.kernel.scheduler.call_at(due, act, name=f"retire:{member.instance_id}", background=True)

    def _replace_unhealthy(self, group: Group) -> int:
        """End unhealthy members; how many."""
        if not (group.runs("ReplaceUnhealthy") and group.runs("Terminate")):
            return 0
        unhealthy = [member for member in group.live if member.health == "Unhealthy"]
        for member in unhealthy:
            cause = (
                f"At {self._at()} an instance was taken out of service in response to an EC2 health check "
                "indicating it has been terminated or stopped."
            )
            self.terminate(group, member, cause, member.instance.end_cause if member.instance else None)
        return len(unhealthy)

    # --- zones -------------------------------------------------------------------------------------------------------
    def _watch_balance(self, group: Group) -> None:
        if not group.unbalanced and not group.balancing:
            group.unbalanced_by = None
        if self.kernel.settled and not group.watching_balance and group.unbalanced:
            group.watching_balance = True
            self.kernel.scheduler.call_later(
                self.options.rebalance_after,
                lambda: self._balance(group),
                name=f"balance:{group.name}",
                background=True,
            )

    def _balance(self, group: Group) -> None:
        group.watching_balance = False
        if group.deleted or not group.unbalanced:
            return
        busy = len(group.live) != group.target or any(one.lifecycle != "InService" for one in group.members.values())
        if busy or group.balancing or not all(group.runs(one) for one in ("AZRebalance", "Launch", "Terminate")):
            self._watch_balance(group)
            return
        counts = group.per_zone()
        smallest = min(group.zones, key=lambda zone: counts[zone])
        margin = max(1, group.maximum // 10)
        movable = choose(group, self.kernel.clock.now(), self._choice, self._crowded(group)) is not None
        if not movable or len(group.live) + 1 > group.maximum + margin:
            self._watch_balance(group)
            return
        self._launch_to_balance(group, smallest, counts)

    @staticmethod
    def _crowded(group: Group) -> list[str]:
        """Zones that would lose an instance to balance the group."""
        counts = group.per_zone()
        most = max(counts.values())
        return [zone for zone, count in counts.items() if zone not in group.zones or count == most]

    def _launch_to_balance(self, group: Group, zone: str, counts: dict[str, int]) -> None:
        zones = " ".join(counts)
        sizes = ", ".join(str(count) for count in counts.values())
        cause = (
            f"At {self._at()} availability zones {zones} had {sizes} instances respectively. "
            "An instance was launched to aid in balancing the group's zones."
        )
        launched = self.launch_one(group, self._subnet(group, zone), cause)
        if isinstance(launched, list):
            self._watch_balance(group)
            return
        group.balancing = launched.instance_id
        group.extra = 1
        self.kernel.note("group.balancing", f"{group.name} balances its zones", group=group.name, zone=zone)

    def _finish_balancing(self, group: Group) -> None:
        """The new instance serves: one of a crowded zone may go."""
        group.balancing, group.extra = None, 0
        crowded = self._crowded(group)
        member = choose(group, self.kernel.clock.now(), self._choice, crowded)
        if member and len(group.live) > group.desired and group.runs("Terminate"):
            why = (
                f"At {self._at()} instances were launched to balance instances in zones with other zones resulting in "
                "more than desired number of instances in the group.  "
            )
            self._scale_in(group, member, why, group.unbalanced_by)
        self.wake(group)

    # --- activities --------------------------------------------------------------------------------------------------
    def _activity(self, group: Group, description: str, cause: str, details: dict[str, str]) -> Activity:
        self._activities += 1
        activity = Activity(
            uuid(self.ids), self._activities, description, cause, self.kernel.clock.now(), details, progress=30
        )
        group.activities.append(activity)
        return activity

    def _announce(self, group: Group, activity: Activity, detail_type: str, status: str, instance_id: str) -> None:
        launching = "Launch" in detail_type
        resources = [group.arn]
        if instance_id:
            resources.append(self.kernel.arn("ec2", f"instance/{instance_id}"))
        detail = {
            "StatusCode": status,
            "Description": activity.description,
            "AutoScalingGroupName": group.name,
            "ActivityId": activity.activity_id,
            "Details": dict(activity.details),
            "RequestId": activity.activity_id,
            "StatusMessage": activity.message,
            "EndTime": f"{self.kernel.clock.now():%Y-%m-%dT%H:%M:%S}.000Z",
            "EC2InstanceId": instance_id,
            "StartTime": f"{activity.start:%Y-%m-%dT%H:%M:%S}.{activity.start.microsecond // 1000:03d}Z",
            "Cause": activity.cause,
            "Origin": "EC2" if launching else "AutoScalingGroup",
            "Destination": "AutoScalingGroup" if launching else "EC2",
        }
        emit(self.kernel, self.bus, "aws.autoscaling", detail_type, detail, resources)

    def _cool_down(self, group: Group) -> None:
        if self.kernel.settled:
            group.cooldown_until = self.kernel.clock.elapsed + group.cooldown

    def _at(self) -> str:
        return f"{self.kernel.clock.now():%Y-%m-%dT%H:%M:%SZ}"

    def at(self) -> str:
        """The present moment, as texts of activities give it."""
        return self._at()


def group_arn(fleet: Fleet, name: str) -> str:
    """A new group's ARN."""
    return fleet.kernel.arn("autoscaling", f"autoScalingGroup:{uuid(fleet.ids)}:autoScalingGroupName/{name}")
