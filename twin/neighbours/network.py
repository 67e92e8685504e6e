"""Regions, zones, subnets and instance types, as the EC2 API describes them and the world gives them."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from typing import Any

from twin.errors import AwsError, WorldError
from twin.kernel.api import Call, operation
from twin.kernel.kernel import Kernel
from twin.neighbours.common import FilterValues, filtered, page
from twin.neighbours.instance_types import INSTANCE_TYPES, instance_type
from twin.neighbours.instances import Subnet, Zone

_BAD_TOKEN = AwsError("InvalidParameterValue", "Unable to parse pagination token")


class NetworkOperations:
    """The part of the EC2 API that describes where and on what instances run."""

    kernel: Kernel
    zones: dict[str, Zone]
    subnets: dict[str, Subnet]
    add_vpc: Callable[..., None]

    # --- the network, as the world gives it --------------------------------------------------------------------------
    def add_zone(self, name: str, zone_id: str | None = None) -> Zone:
        """A zone of the region, e.g. `us-east-1a`. Zone ids are made in order (`use1-az1`) unless given."""
        if name not in self.zones:
            self.zones[name] = Zone(name, zone_id or f"{_short(self.kernel.region)}-az{len(self.zones) + 1}")
        return self.zones[name]

    def add_subnet(
        self,
        subnet_id: str,
        zone: str,
        vpc_id: str = "vpc-0123456789abcdef0",
        *,
        public: bool = False,
        default: bool = False,
    ) -> Subnet:
        """A subnet (10.<n>.0.0/16) in a zone, which is added too if it is new."""
        if subnet_id in self.subnets:
            raise WorldError(f"subnet {subnet_id!r} is given twice")
        number = len(self.subnets)
        subnet = Subnet(subnet_id, self.add_zone(zone), vpc_id, f"10.{number}", number, public=public, default=default)
        self.subnets[subnet_id] = subnet
        self.add_vpc(vpc_id, default=default)
        return subnet

    # --- operations: types, zones, subnets ---------------------------------------------------------------------------
    @operation("DescribeInstanceTypes", ("InstanceTypes", "Filters", "MaxResults", "NextToken"))
    def describe_instance_types(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        names = params.get("InstanceTypes")
        if names and "MaxResults" in params:
            raise AwsError(
                "InvalidParameterCombination",
                "The parameter InstanceTypes cannot be used with the parameter MaxResults",
            )
        unknown = [name for name in names or [] if "." not in name]
        if unknown:
            raise AwsError(
                "InvalidInstanceType", f"The following supplied instance types do not exist: [{', '.join(unknown)}]"
            )
        kinds = [instance_type(name) for name in sorted(set(names))] if names else list(INSTANCE_TYPES.values())
        known: dict[str, FilterValues[Any]] = {
            "instance-type": lambda one: [one.name],
            "processor-info.supported-architecture": lambda one: [one.architecture],
        }
        kinds = filtered(kinds, params.get("Filters", []), known, lambda one: {}, "ec2:DescribeInstanceTypes")
        shown, token = page(
            list(enumerate(kinds)),
            params.get("NextToken"),
            params.get("MaxResults", 100),
            lambda one: one[0],
            _BAD_TOKEN,
        )
        return {"InstanceTypes": [one.describe() for _, one in shown]} | ({"NextToken": token} if token else {})

    @operation("DescribeSubnets", ("SubnetIds", "Filters", "MaxResults", "NextToken"))
    def describe_subnets(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        wanted = params.get("SubnetIds")
        for subnet_id in wanted or []:
            if subnet_id not in self.subnets:
                raise AwsError("InvalidSubnetID.NotFound", f"The subnet ID '{subnet_id}' does not exist")
        found = [one for one in self.subnets.values() if not wanted or one.subnet_id in wanted]
        known: dict[str, FilterValues[Subnet]] = {
            "availability-zone": lambda one: [one.zone.name],
            "availability-zone-id": lambda one: [one.zone.zone_id],
            "subnet-id": lambda one: [one.subnet_id],
            "vpc-id": lambda one: [one.vpc_id],
        }
        found = filtered(found, params.get("Filters", []), known, lambda one: {}, "ec2:DescribeSubnets")
        shown, token = page(
            found, params.get("NextToken"), params.get("MaxResults"), lambda one: one.number, _BAD_TOKEN
        )
        return {"Subnets": [self._subnet_view(one) for one in shown]} | ({"NextToken": token} if token else {})

    def _subnet_view(self, subnet: Subnet) -> dict[str, Any]:
        return {
            "SubnetId": subnet.subnet_id,
            "SubnetArn": self.kernel.arn("ec2", f"subnet/{subnet.subnet_id}"),
            "VpcId": subnet.vpc_id,
            "OwnerId": self.kernel.account,
            "State": "available",
            "AvailabilityZone": subnet.zone.name,
            "AvailabilityZoneId": subnet.zone.zone_id,
            "CidrBlock": f"{subnet.network}.0.0/16",
            "AvailableIpAddressCount": 65_535 - subnet.next_ip,
            "DefaultForAz": subnet.default,
            "MapPublicIpOnLaunch": subnet.public,
            "Tags": [],
        }

    @operation("DescribeAvailabilityZones", ("ZoneNames", "ZoneIds", "Filters"))
    def describe_availability_zones(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        for name in params.get("ZoneNames", []):
            if name not in self.zones:
                raise AwsError("InvalidParameterValue", f"Invalid availability zone: [{name}]")
        found: Iterable[Zone] = self.zones.values()
        if params.get("ZoneNames"):
            found = [one for one in found if one.name in params["ZoneNames"]]
        if params.get("ZoneIds"):
            found = [one for one in found if one.zone_id in params["ZoneIds"]]
        known: dict[str, FilterValues[Zone]] = {
            "state": lambda one: ["available"],
            "zone-name": lambda one: [one.name],
            "zone-id": lambda one: [one.zone_id],
            "region-name": lambda one: [self.kernel.region],
        }
        shown = filtered(found, params.get("Filters", []), known, lambda one: {}, "ec2:DescribeAvailabilityZones")
        return {
            "AvailabilityZones": [
                {
                    "ZoneName": one.name,
                    "ZoneId": one.zone_id,
                    "RegionName": self.kernel.region,
                    "State": "available",
                    "OptInStatus": "opt-in-not-required",
                    "ZoneType": "availability-zone",
                    "GroupName": self.kernel.region,
                    "NetworkBorderGroup": self.kernel.region,
                    "Messages": [],
                }
                for one in shown
            ]
        }


def _short(region: str) -> str:
    """`us-east-1` → `use1`, as zone ids begin."""
    parts = region.split("-")
    if len(parts) < 3:
        return f"x{zlib.crc32(region.encode()) % 1000}"
    directions = {"northeast": "ne", "northwest": "nw", "southeast": "se", "southwest": "sw"}
    middle = "".join(directions.get(part, part[0]) for part in parts[1:-1])
    return f"{parts[0]}{middle}{parts[-1]}"
