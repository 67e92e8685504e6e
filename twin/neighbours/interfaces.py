"""Network interfaces, as the EC2 API knows them: those of users, of instances, and those that AWS services make.

Source: EC2 API (NetworkInterface, CreateNetworkInterface, DescribeNetworkInterfaces, DeleteNetworkInterface,
ModifyNetworkInterfaceAttribute); EC2 user guide, "Requester-managed network interfaces"; VPC user guide, "Amazon VPC
quotas" (5 security groups an interface).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from twin.errors import AwsError, Unmodelled, WorldError
from twin.kernel.api import Call, operation
from twin.kernel.kernel import Kernel
from twin.neighbours.common import FilterValues, filtered, hex_id, page, plain_values, tag_list
from twin.neighbours.ec2_requests import BAD_TOKEN, check_id, given_tags, limit
from twin.neighbours.instances import Subnet
from twin.neighbours.security_groups import SecurityGroupOperations

GROUPS_PER_INTERFACE = 5


@dataclass
class NetworkInterface:
    """A network interface.

    Attributes:
        number: its place in the order of creation.
        groups: ids of its security groups.
        requester: who made it if AWS did (`amazon-elb`, an account id of ECS …); only that one may change it.
        instance_id: the instance that it is attached to, where the account owns one.
        attached: it is in use.
    """

    interface_id: str
    number: int
    subnet: Subnet
    groups: list[str]
    description: str
    private_ip: str
    interface_type: str = "interface"
    requester: str | None = None
    instance_id: str | None = None
    attached: bool = True
    attachment_id: str = ""
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def status(self) -> str:
        return "in-use" if self.attached else "available"


class InterfaceStore:
    """Every network interface, found by id and by security group."""

    def __init__(self, kernel: Kernel) -> None:
        self.interfaces: dict[str, NetworkInterface] = {}
        self._by_group: dict[str, dict[str, NetworkInterface]] = {}
        self._ids: Random = kernel.rng("ec2/interfaces")
        self._made = 0

    def add(self, subnet: Subnet, groups: Sequence[str], description: str, private_ip: str) -> NetworkInterface:
        self._made += 1
        found = NetworkInterface(
            hex_id(self._ids, "eni-"), self._made, subnet, [], description, private_ip,
            attachment_id=hex_id(self._ids, "eni-attach-"),
        )  # fmt: skip
        self.interfaces[found.interface_id] = found
        self.set_groups(found, groups)
        return found

    def set_groups(self, interface: NetworkInterface, groups: Sequence[str]) -> None:
        for group in interface.groups:
            self._by_group[group].pop(interface.interface_id, None)
        interface.groups = list(groups)
        for group in groups:
            self._by_group.setdefault(group, {})[interface.interface_id] = interface

    def remove(self, interface_id: str) -> None:
        self.set_groups(self.interfaces[interface_id], [])
        del self.interfaces[interface_id]

    def of_group(self, group_id: str) -> Iterable[str]:
        """Ids of the interfaces that have the security group."""
        return list(self._by_group.get(group_id, ()))


class InterfaceOperations(SecurityGroupOperations):
    """The part of the EC2 API about network interfaces."""

    interfaces: InterfaceStore
    subnets: dict[str, Subnet]

    # --- for the twin's other services --------------------------------------------------------------------------------
    def add_interface(
        self,
        subnet_id: str,
        groups: Sequence[str],
        description: str = "",
        type: str = "interface",  # the API's word
        requester: str | None = None,
        *,
        private_ip: str | None = None,
        instance_id: str | None = None,
        tags: dict[str, str] | None = None,
    ) -> str:
        """Make an interface that is in use at once.

        Args:
            subnet_id: of the world; else WorldError.
            groups: ids of security groups; the VPC's default group if there are none and `type` is `interface`.
            requester: which of AWS's services makes it; then nobody else may change or delete it.
            private_ip: its address, if it has been taken from the subnet already.
            instance_id: an instance of the account that it is attached to.

        Returns:
            Its id.

        Raises:
            AwsError: InvalidGroup.NotFound, SecurityGroupsPerInterfaceLimitExceeded.
        """
        subnet = self.subnets.get(subnet_id)
        if subnet is None:
            raise WorldError(f"network interface: subnet {subnet_id!r} is not in the world")
        chosen = list(groups)
        if not chosen and type == "interface":
            chosen = [self.default_group(subnet.vpc_id).group_id]
        self._check_groups_of_interface(subnet, chosen)
        made = self.interfaces.add(subnet, chosen, description, private_ip or subnet.take_ip())
        made.interface_type, made.requester, made.instance_id = type, requester, instance_id
        made.tags = dict(tags or {})
        return made.interface_id

    def remove_interface(self, interface_id: str) -> None:
        """The interface is gone; nothing happens if it is already."""
        if interface_id in self.interfaces.interfaces:
            self.interfaces.remove(interface_id)

    def _check_groups_of_interface(self, subnet: Subnet, groups: Sequence[str]) -> None:
        if len(groups) > GROUPS_PER_INTERFACE:
            raise AwsError(
                "SecurityGroupsPerInterfaceLimitExceeded",
                f"The maximum number of security groups per interface has been reached: {GROUPS_PER_INTERFACE}",
            )
        for group_id in groups:
            if self.security_group(group_id).vpc_id != subnet.vpc_id:
                raise AwsError(
                    "InvalidParameterValue",
                    f"You have specified two resources that belong to different networks: {group_id}",
                )

    # --- operations ---------------------------------------------------------------------------------------------------
    @operation(
        "CreateNetworkInterface",
        ("SubnetId", "Description", "Groups", "InterfaceType", "TagSpecifications", "ClientToken"),
    )
    def create_network_interface(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        if params.get("InterfaceType", "interface") != "interface":
            raise Unmodelled(f"ec2:CreateNetworkInterface: InterfaceType {params['InterfaceType']!r} is not modelled")
        if params["SubnetId"] not in self.subnets:
            raise AwsError("InvalidSubnetID.NotFound", f"The subnet ID '{params['SubnetId']}' does not exist")
        tags = given_tags(params, "network-interface")
        made = self.add_interface(params["SubnetId"], params.get("Groups", ()), params.get("Description", ""))
        interface = self.interfaces.interfaces[made]
        interface.attached, interface.tags = False, tags
        return {"NetworkInterface": self._interface_view(interface)}

    @operation(
        "DescribeNetworkInterfaces",
        ("NetworkInterfaceIds", "Filters", "MaxResults", "NextToken", "IncludeManagedResources"),
    )
    def describe_network_interfaces(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        """Resources that AWS manages are visible in every world, so that IncludeManagedResources changes nothing."""
        ids, most = params.get("NetworkInterfaceIds"), limit(params, "NetworkInterfaceIds")
        found = [self._interface(one) for one in dict.fromkeys(ids)] if ids else self._interfaces_for(params)
        found.sort(key=lambda one: one.number)
        found = filtered(
            found,
            params.get("Filters", []),
            self._interface_filters(),
            lambda one: one.tags,
            "ec2:DescribeNetworkInterfaces",
        )
        shown, token = page(found, params.get("NextToken"), most, lambda one: one.number, BAD_TOKEN)
        views = [self._interface_view(one) for one in shown]
        return {"NetworkInterfaces": views} | ({"NextToken": token} if token else {})

    def _interfaces_for(self, params: Mapping[str, Any]) -> list[NetworkInterface]:
        """All that may meet the filters."""
        store = self.interfaces
        groups = plain_values(params.get("Filters", []), "group-id")
        if groups is None:
            return list(store.interfaces.values())
        ids = dict.fromkeys(one for group in groups for one in store.of_group(group))
        return [store.interfaces[one] for one in ids]

    def _interface_filters(self) -> dict[str, FilterValues[NetworkInterface]]:
        return {
            "attachment.instance-id": lambda one: [one.instance_id] if one.instance_id else [],
            "attachment.instance-owner-id": lambda one: [self._owner_of_machine(one)] if one.attached else [],
            "availability-zone": lambda one: [one.subnet.zone.name],
            "description": lambda one: [one.description],
            "group-id": lambda one: one.groups,
            "group-name": lambda one: [self.security_groups.groups[group].name for group in one.groups],
            "interface-type": lambda one: [one.interface_type],
            "network-interface-id": lambda one: [one.interface_id],
            "owner-id": lambda one: [self.kernel.account],
            "private-ip-address": lambda one: [one.private_ip],
            "requester-id": lambda one: [one.requester] if one.requester else [],
            "requester-managed": lambda one: [str(one.requester is not None).lower()],
            "status": lambda one: [one.status],
            "subnet-id": lambda one: [one.subnet.subnet_id],
            "vpc-id": lambda one: [one.subnet.vpc_id],
        }

    @operation("ModifyNetworkInterfaceAttribute", ("NetworkInterfaceId", "Groups"))
    def modify_network_interface_attribute(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        """Other security groups instead of the present ones."""
        interface = self._interface(params["NetworkInterfaceId"])
        self._check_mine(interface)
        if not params.get("Groups"):
            raise AwsError("InvalidParameterCombination", "No attributes specified.")
        self._check_groups_of_interface(interface.subnet, params["Groups"])
        self.interfaces.set_groups(interface, params["Groups"])
        return {}

    @operation("DeleteNetworkInterface", ("NetworkInterfaceId",))
    def delete_network_interface(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        interface = self._interface(params["NetworkInterfaceId"])
        if interface.attached:
            raise AwsError(
                "InvalidParameterValue", f"Network interface '{interface.interface_id}' is currently in use."
            )
        self._check_mine(interface)
        self.interfaces.remove(interface.interface_id)
        return {}

    def _check_mine(self, interface: NetworkInterface) -> None:
        """Requester-managed interfaces are changed by who made them only."""
        if interface.requester:
            raise AwsError("AuthFailure", "You do not have permission to access the specified resource.", 403)

    def _interface(self, interface_id: str) -> NetworkInterface:
        check_id(interface_id, "eni")
        found = self.interfaces.interfaces.get(interface_id)
        if found is None:
            raise AwsError(
                "InvalidNetworkInterfaceID.NotFound", f"The networkInterface ID '{interface_id}' does not exist"
            )
        return found

    def _owner_of_machine(self, one: NetworkInterface) -> str:
        return one.requester or self.kernel.account

    def _interface_view(self, one: NetworkInterface) -> dict[str, Any]:
        groups = self.security_groups.groups
        shown: dict[str, Any] = {
            "NetworkInterfaceId": one.interface_id,
            "AvailabilityZone": one.subnet.zone.name,
            "AvailabilityZoneId": one.subnet.zone.zone_id,
            "Description": one.description,
            "Groups": [{"GroupId": group, "GroupName": groups[group].name} for group in one.groups],
            "InterfaceType": one.interface_type,
            "OwnerId": self.kernel.account,
            "PrivateIpAddress": one.private_ip,
            "PrivateIpAddresses": [{"Primary": True, "PrivateIpAddress": one.private_ip}],
            "RequesterManaged": one.requester is not None,
            "SourceDestCheck": True,
            "Status": one.status,
            "SubnetId": one.subnet.subnet_id,
            "VpcId": one.subnet.vpc_id,
            "TagSet": tag_list(one.tags),
        }
        if one.requester:
            shown["RequesterId"] = one.requester
        if one.attached:
            shown["Attachment"] = {
                "AttachmentId": one.attachment_id,
                "DeleteOnTermination": one.requester is None,
                "DeviceIndex": 0,
                "InstanceOwnerId": self._owner_of_machine(one),
                "Status": "attached",
            } | ({"InstanceId": one.instance_id} if one.instance_id else {})
        return shown
