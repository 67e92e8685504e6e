"""Load balancers, as the ELBv2 API knows them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twin.errors import AwsError, Unmodelled
from twin.kernel.api import Call, operation
from twin.neighbours.common import after, tag_map
from twin.neighbours.elbv2_attributes import attributes_view, set_load_balancer_attributes
from twin.neighbours.elbv2_listeners import ListenerOperations
from twin.neighbours.elbv2_model import LoadBalancer, check_name, chosen, invalid, paged


class LoadBalancerOperations(ListenerOperations):
    """Operations on load balancers. To delete one deletes its listeners and their rules."""

    @operation("CreateLoadBalancer", ("Name", "Subnets", "SecurityGroups", "Scheme", "Type", "IpAddressType", "Tags"))
    def create_load_balancer(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        name, kind = params["Name"], params.get("Type", "application")
        check_name(name, "Load balancer")
        if kind == "gateway":
            raise Unmodelled("elbv2: load balancers of Type 'gateway' are not modelled")
        zones, vpc_id = self._zones(params.get("Subnets", []), kind)
        same = next((one for one in self.load_balancers.values() if one.name == name), None)
        if same:
            if (same.kind, same.zones) != (kind, zones):
                raise AwsError(
                    "DuplicateLoadBalancerName",
                    f"A load balancer with the same name '{name}' exists, but with different settings",
                )
            return {"LoadBalancers": [self._load_balancer_view(same)]}
        short = {"application": "app", "network": "net"}[kind]
        balancer = LoadBalancer(
            arn=self._arn(f"loadbalancer/{short}/{name}/{self._hex()}"),
            name=name,
            number=self._number(),
            kind=kind,
            scheme=params.get("Scheme", "internet-facing"),
            vpc_id=vpc_id,
            zones=zones,
            security_groups=list(params.get("SecurityGroups", [])),
            created=self.kernel.clock.now(),
            tags=tag_map(params.get("Tags", [])),
        )
        self.load_balancers[balancer.arn] = balancer
        after(self.kernel, self.options.provisioning, lambda: setattr(balancer, "active", True), name=f"elb:{name}")
        return {"LoadBalancers": [self._load_balancer_view(balancer)]}

    def _zones(self, subnets: Sequence[str], kind: str) -> tuple[dict[str, str], str]:
        if self.ec2 is None:
            raise Unmodelled("elbv2: CreateLoadBalancer in a world without subnets (Elbv2 was built without ec2)")
        if not subnets:
            raise invalid("You must specify subnets")
        zones: dict[str, str] = {}
        for subnet_id in subnets:
            subnet = self.ec2.subnets.get(subnet_id)
            if subnet is None:
                raise AwsError("SubnetNotFound", f"The subnet ID '{subnet_id}' does not exist")
            if subnet.zone.name in zones:
                raise AwsError(
                    "InvalidConfigurationRequest",
                    "A load balancer cannot be attached to multiple subnets in the same Availability Zone",
                )
            zones[subnet.zone.name] = subnet_id
        if kind == "application" and len(zones) < 2:
            raise invalid("At least two subnets in two different Availability Zones must be specified")
        return zones, self.ec2.subnets[subnets[0]].vpc_id

    @operation("DescribeLoadBalancers", ("LoadBalancerArns", "Names", "Marker", "PageSize"))
    def describe_load_balancers(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        found = chosen(
            self.load_balancers.values(),
            params,
            {"LoadBalancerArns": lambda one: one.arn, "Names": lambda one: one.name},
            "LoadBalancerNotFound",
            "Load balancers",
        )
        return paged(found, params, "LoadBalancers", self._load_balancer_view)

    @operation("DeleteLoadBalancer", ("LoadBalancerArn",))
    def delete_load_balancer(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        """Only deletion protection holds it up, no use; deleting again succeeds."""
        balancer = self.load_balancers.get(params["LoadBalancerArn"])
        if balancer is None:
            return {}
        if balancer.attributes["deletion_protection.enabled"] == "true":
            raise AwsError(
                "OperationNotPermitted",
                f"Load balancer '{balancer.arn}' cannot be deleted because deletion protection is enabled",
            )
        for listener in self.listeners_of(balancer.arn):
            self._remove_listener(listener, call)
        del self.load_balancers[balancer.arn]
        return {}

    @operation("DescribeLoadBalancerAttributes", ("LoadBalancerArn",))
    def describe_load_balancer_attributes(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        return {"Attributes": attributes_view(self.balancer(params["LoadBalancerArn"]).attributes)}

    @operation("ModifyLoadBalancerAttributes", ("LoadBalancerArn", "Attributes"))
    def modify_load_balancer_attributes(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        balancer = self.balancer(params["LoadBalancerArn"])
        set_load_balancer_attributes(balancer.attributes, params["Attributes"])
        return {"Attributes": attributes_view(balancer.attributes)}

    def _load_balancer_view(self, one: LoadBalancer) -> dict[str, Any]:
        digits = one.arn.rsplit("/", 1)[1]
        shown: dict[str, Any] = {
            "LoadBalancerArn": one.arn,
            "DNSName": f"{one.name}-{int(digits, 16) % 10**10}.{self.kernel.region}.elb.amazonaws.com",
            "CanonicalHostedZoneId": "Z35SXDOTRQ7X7K",
            "CreatedTime": one.created,
            "LoadBalancerName": one.name,
            "Scheme": one.scheme,
            "VpcId": one.vpc_id,
            "State": {"Code": "active" if one.active else "provisioning"},
            "Type": one.kind,
            "AvailabilityZones": [
                {"ZoneName": zone, "SubnetId": subnet, "LoadBalancerAddresses": []}
                for zone, subnet in one.zones.items()
            ],
            "IpAddressType": "ipv4",
        }
        if one.security_groups:
            shown["SecurityGroups"] = list(one.security_groups)
        return shown
