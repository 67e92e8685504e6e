"""Load balancers, as the ELBv2 API knows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
        groups = self._security_groups(params, kind, vpc_id)
        short = {"application": "app", "network": "net"}[kind]
        balancer = LoadBalancer(
            arn=self._arn(f"loadbalancer/{short}/{name}/{self._hex()}"),
            name=name,
            number=self._number(),
            kind=kind,
            scheme=params.get("Scheme", "internet-facing"),
            vpc_id=vpc_id,
            zones=zones,
            security_groups=groups,
            created=self.kernel.clock.now(),
            tags=tag_map(params.get("Tags", [])),
        )
        self.load_balancers[balancer.arn] = balancer
        self._add_interfaces(balancer)
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
        """Deletion protection holds it up, and being a network load balancer's target; no rule does, and deleting again
        succeeds."""
        balancer = self.load_balancers.get(params["LoadBalancerArn"])
        if balancer is None:
            return {}
        if balancer.attributes["deletion_protection.enabled"] == "true":
            raise AwsError(
                "OperationNotPermitted",
                f"Load balancer '{balancer.arn}' cannot be deleted because deletion protection is enabled",
            )
        if self.is_target(balancer.arn):
            raise AwsError(
                "ResourceInUse",
                f"Load balancer '{balancer.arn}' cannot be deleted because it is currently associated with another "
                "service",
            )
        for listener in self.listeners_of(balancer.arn):
            self._remove_listener(listener, call)
        del self.load_balancers[balancer.arn]
        linger = self.options.interfaces_linger
        after(self.kernel, linger, lambda: self._remove_interfaces(balancer), name=f"elb-interfaces:{balancer.name}")
        return {}

    @operation("SetSecurityGroups", ("LoadBalancerArn", "SecurityGroups"))
    def set_security_groups(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        """Other security groups instead of the present ones, on the load balancer's interfaces too."""
        balancer = self.balancer(params["LoadBalancerArn"])
        if balancer.kind == "network" and not balancer.security_groups:
            raise AwsError(
                "InvalidConfigurationRequest",
                "You cannot set security groups on a Network Load Balancer that was created without any",
            )
        if not params["SecurityGroups"]:
            raise invalid("At least one security group must be specified")
        balancer.security_groups = self._security_groups(params, balancer.kind, balancer.vpc_id)
        assert self.ec2 is not None  # load balancers are made in its subnets
        for interface_id in balancer.interfaces:
            interface = self.ec2.interfaces.interfaces[interface_id]
            self.ec2.interfaces.set_groups(interface, balancer.security_groups)
        return {"SecurityGroupIds": list(balancer.security_groups)}

    def _security_groups(self, params: Mapping[str, Any], kind: str, vpc_id: str) -> list[str]:
        """The groups that the request names; an application load balancer without any gets its VPC's default one."""
        assert self.ec2 is not None  # the subnets were found in it
        given = list(params.get("SecurityGroups", []))
        if not given and kind == "application":
            return [self.ec2.default_group(vpc_id).group_id]
        for group_id in given:
            group = self.ec2.security_groups.groups.get(group_id)
            if group is None or group.vpc_id != vpc_id:
                raise AwsError("InvalidSecurityGroup", f"One or more security groups are invalid: '{group_id}'")
        return given

    def _add_interfaces(self, balancer: LoadBalancer) -> None:
        assert self.ec2 is not None  # load balancers are made in its subnets
        words = f"ELB {balancer.arn.partition(':loadbalancer/')[2]}"
        kind = "network_load_balancer" if balancer.kind == "network" else "interface"
        balancer.interfaces = [
            self.ec2.add_interface(subnet, balancer.security_groups, words, kind, "amazon-elb")
            for subnet in balancer.zones.values()
        ]

    def _remove_interfaces(self, balancer: LoadBalancer) -> None:
        assert self.ec2 is not None  # load balancers are made in its subnets
        for interface in balancer.interfaces:
            self.ec2.remove_interface(interface)

    @operation("DescribeLoadBalancerAttributes", ("LoadBalancerArn",))
    def describe_load_balancer_attributes(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        return {"Attributes": attributes_view(self.balancer(params["LoadBalancerArn"]).attributes)}

    @operation("ModifyLoadBalancerAttributes", ("LoadBalancerArn", "Attributes"))
    def modify_load_balancer_attributes(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        balancer = self.balancer(params["LoadBalancerArn"])
        set_load_balancer_attributes(balancer.attributes, params["Attributes"])
        return {"Attributes": attributes_view(balancer.attributes)}

    def dns_name(self, one: LoadBalancer) -> str:
        """The name under which clients reach it."""
        digits = one.arn.rsplit("/", 1)[1]
        return f"{one.name}-{int(digits, 16) % 10**10}.{self.kernel.region}.elb.amazonaws.com"

    def _load_balancer_view(self, one: LoadBalancer) -> dict[str, Any]:
        shown: dict[str, Any] = {
            "LoadBalancerArn": one.arn,
            "DNSName": self.dns_name(one),
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
