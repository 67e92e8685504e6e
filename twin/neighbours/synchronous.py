"""LaunchInstances: instances launched while the caller waits.

Sources: Auto Scaling API, LaunchInstances; user guide, "Launch instances synchronously". No document says whether it
raises the desired capacity or respects the maximum: `AutoScalingOptions` chooses.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any

from twin.errors import AwsError, Unmodelled
from twin.kernel.api import Call, operation
from twin.kernel.kernel import Kernel
from twin.neighbours.fleet import Failure, Fleet
from twin.neighbours.groups import AutoScalingOptions, Group, Member, Remembered
from twin.neighbours.instances import Subnet

TOKEN_LIFE = 24 * 3600.0
"""Simulated seconds for which a client token is remembered."""
_MARKETS = {"on-demand": "OnDemand", "spot": "Spot"}


class LaunchInstancesOperation:
    """The operation LaunchInstances of the Auto Scaling API."""

    kernel: Kernel
    fleet: Fleet
    options: AutoScalingOptions

    @operation(
        "LaunchInstances",
        (
            "AutoScalingGroupName",
            "RequestedCapacity",
            "ClientToken",
            "AvailabilityZones",
            "AvailabilityZoneIds",
            "SubnetIds",
            "RetryStrategy",
        ),
    )
    def launch_instances(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        group = self.fleet.group(params["AutoScalingGroupName"])
        known = self._remembered(group, params)
        if known is not None:
            return known
        self._check(group, params)
        subnets = self._where(group, params)
        members, failures = self._launch(group, subnets, params["RequestedCapacity"])
        group.unbalanced_by = call
        self._resize(group, len(members), params, call)
        response = {
            "AutoScalingGroupName": group.name,
            "ClientToken": params["ClientToken"],
            "Instances": _collections(members),
            "Errors": [_error(one) for one in failures],
        }
        now = self.kernel.clock.elapsed
        group.tokens[params["ClientToken"]] = Remembered(now, copy.deepcopy(params), copy.deepcopy(response))
        return response

    def _remembered(self, group: Group, params: Mapping[str, Any]) -> dict[str, Any] | None:
        known = group.tokens.get(params["ClientToken"])
        if known is None or self.kernel.clock.elapsed - known.at >= TOKEN_LIFE:
            return None
        if known.params != params:
            raise AwsError(
                "IdempotentParameterMismatch",
                "The client token has been used before with other request parameters.",
            )
        return copy.deepcopy(dict(known.response))

    def _check(self, group: Group, params: Mapping[str, Any]) -> None:
        if group.warm_pool is not None:
            raise AwsError("UnsupportedOperation", "LaunchInstances does not support groups with a warm pool.")
        if group.kinds.purchase_options == "mixed":
            raise AwsError(
                "UnsupportedOperation",
                "LaunchInstances does not support groups that combine On-Demand and Spot Instances.",
            )
        if not group.runs("Launch"):
            raise Unmodelled("autoscaling:LaunchInstances on a group whose Launch process is suspended")
        requested = params["RequestedCapacity"]
        if not 1 <= requested <= 100:
            raise AwsError("ValidationError", f"RequestedCapacity must be between 1 and 100 instances, not {requested}")
        if self.options.launch_instances_respects_max and group.desired + requested > group.maximum:
            raise AwsError(
                "ValidationError",
                f"The requested capacity {requested} would take the group {group.name} from its desired capacity "
                f"{group.desired} above its max size {group.maximum}.",
            )

    def _where(self, group: Group, params: Mapping[str, Any]) -> list[Subnet]:
        """The subnets that the request allows, all in one zone."""
        by_zone, by_id = params.get("AvailabilityZones", []), params.get("AvailabilityZoneIds", [])
        by_subnet = params.get("SubnetIds", [])
        if by_zone and by_id:
            raise _invalid("You cannot specify both AvailabilityZones and AvailabilityZoneIds.")
        if max(len(by_zone), len(by_id), len(by_subnet)) > 1:
            raise _invalid("Only one Availability Zone or subnet can be specified.")
        found = list(group.subnets)
        found = [one for one in found if not by_zone or one.zone.name in by_zone]
        found = [one for one in found if not by_id or one.zone.zone_id in by_id]
        if not found:
            raise _invalid(f"The Availability Zone {(by_zone or by_id)[0]} is not part of the Auto Scaling group.")
        inside = [one for one in found if not by_subnet or one.subnet_id in by_subnet]
        if not inside:
            raise _invalid(
                f"The subnet {by_subnet[0]} is not part of the Auto Scaling group, or not in the Availability Zone."
            )
        if len({one.zone.name for one in inside}) > 1:
            raise _invalid(
                "Either AvailabilityZones or SubnetIds must be specified for groups with several Availability Zones."
            )
        return inside

    def _launch(self, group: Group, subnets: list[Subnet], count: int) -> tuple[list[Member], list[Failure]]:
        """Launch up to `count`; the first that EC2 refuses ends it."""
        members: list[Member] = []
        for index in range(count):
            cause = f"At {self.fleet.at()} an instance was launched in response to a LaunchInstances request."
            launched = self.fleet.launch_one(group, subnets[index % len(subnets)], cause)
            if isinstance(launched, list):
                return members, launched
            members.append(launched)
        return members, []

    def _resize(self, group: Group, launched: int, params: Mapping[str, Any], call: Call) -> None:
        missing = params["RequestedCapacity"] - launched
        again = params.get("RetryStrategy", "none") == "retry-with-group-configuration"
        wanted = launched if self.options.launch_instances_raises_desired else 0
        wanted += missing if again else 0
        desired = min(group.maximum, group.desired + wanted)
        surplus = max(0, len(group.live) - max(desired, group.target))
        if surplus:
            self._tolerate(group, surplus)
        self.fleet.set_desired(group, desired, "a LaunchInstances request was fulfilled", call)

    def _tolerate(self, group: Group, surplus: int) -> None:
        group.tolerated += surplus

        def expire() -> None:
            group.tolerated = max(0, group.tolerated - surplus)
            self.fleet.wake(group)

        self.kernel.scheduler.call_later(self.options.surplus_after, expire, name=f"surplus:{group.name}")


def _collections(members: Iterable[Member]) -> list[dict[str, Any]]:
    """Instances of one type and subnet together, as the API answers."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for member in members:
        instance = member.instance
        assert instance is not None  # EC2 has accepted it
        collection = found.setdefault(
            (member.instance_type, instance.subnet_id),
            {
                "InstanceType": member.instance_type,
                "MarketType": _MARKETS[instance.market],
                "SubnetId": instance.subnet_id,
                "AvailabilityZone": member.zone,
                "AvailabilityZoneId": member.zone_id,
                "InstanceIds": [],
            },
        )
        collection["InstanceIds"].append(member.instance_id)
    return list(found.values())


def _error(failure: Failure) -> dict[str, Any]:
    return {
        "InstanceType": failure.instance_type,
        "MarketType": _MARKETS[failure.market],
        "SubnetId": failure.subnet.subnet_id,
        "AvailabilityZone": failure.subnet.zone.name,
        "AvailabilityZoneId": failure.subnet.zone.zone_id,
        "ErrorCode": failure.code,
        "ErrorMessage": failure.message,
    }


def _invalid(message: str) -> AwsError:
    return AwsError("ValidationError", message)
