"""What ECS needs of its neighbours in the twin."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from twin.kernel.api import Call


class Bus(Protocol):
    """The default event bus of the account."""

    def emit(self, source: str, detail_type: str, detail: dict[str, Any], resources: list[str]) -> object: ...


class LoadBalancing(Protocol):
    """Target groups. A target is an instance id or an IP address, and a port."""

    def register(
        self, target_group_arn: str, target_id: str, port: int, zone: str, probe: Callable[[], bool]
    ) -> object: ...

    def deregister(self, target_group_arn: str, target_id: str, port: int, on_done: Callable[[], None]) -> object: ...

    def healthy(self, target_group_arn: str, target_id: str, port: int) -> bool: ...

    def on_change(self, target_group_arn: str, target_id: str, port: int, callback: Callable[..., None]) -> object: ...

    def probe_changed(self, target_group_arn: str, target_id: str, port: int) -> object: ...


class Zone(Protocol):
    @property
    def name(self) -> str: ...


class Subnet(Protocol):
    """A subnet. `public`: its route table leads to an internet gateway; `default`: it is its zone's default subnet."""

    @property
    def subnet_id(self) -> str: ...

    @property
    def vpc_id(self) -> str: ...

    @property
    def zone(self) -> Zone: ...

    @property
    def public(self) -> bool: ...

    @property
    def default(self) -> bool: ...

    def take_ip(self) -> str: ...


class Network(Protocol):
    """The subnets of the account, by id, in order of creation, and the network interfaces in them."""

    @property
    def subnets(self) -> Mapping[str, Subnet]: ...

    def add_interface(
        self,
        subnet_id: str,
        groups: Sequence[str],
        description: str = "",
        type: str = "interface",
        requester: str | None = None,
        *,
        private_ip: str | None = None,
    ) -> str: ...

    def remove_interface(self, interface_id: str) -> None: ...


class Ec2Instance(Protocol):
    """An EC2 instance as its container agent sees it at boot. `end_cause`: the call that stopped or ended it."""

    @property
    def instance_id(self) -> str: ...

    @property
    def instance_type(self) -> str: ...

    @property
    def zone(self) -> str: ...

    @property
    def subnet_id(self) -> str: ...

    @property
    def subnet(self) -> Subnet: ...

    @property
    def image_id(self) -> str: ...

    @property
    def vcpus(self) -> int: ...

    @property
    def memory_mib(self) -> int: ...

    @property
    def gpus(self) -> int: ...

    @property
    def network_interfaces(self) -> int: ...

    @property
    def architecture(self) -> str: ...

    @property
    def group_name(self) -> str | None: ...

    @property
    def ecs_attributes(self) -> Mapping[str, str]: ...

    @property
    def tags(self) -> Mapping[str, str]: ...

    @property
    def end_cause(self) -> Call | None: ...
