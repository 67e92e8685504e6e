"""A world's VPCs and their subnets. Their ids are the same in every run, so that events and calls may name them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twin.rehearsal import express
from twin.rehearsal.spec import WorldSpec

if TYPE_CHECKING:
    from twin.neighbours.ec2 import Ec2

DEFAULT = "default"
DEFAULT_VPC = "vpc-0123456789abcdef0"


class Networks:
    """
    Attributes:
        subnets: the private subnets of the default VPC, by zone.
        vpcs: ids by name; `default` is the first.
    """

    def __init__(self, ec2: Ec2, spec: WorldSpec) -> None:
        self._ec2 = ec2
        self._spec = spec
        self._ids: dict[tuple[str, bool], dict[str, str]] = {}
        self.subnets: dict[str, str] = {}
        self.vpcs: dict[str, str] = {}

    def build(self) -> None:
        public = express.is_public(self._spec)
        self._vpc(DEFAULT, DEFAULT_VPC, 0, 0xF000 if public else None)
        self.subnets = self._ids[DEFAULT, False]
        for number, name in enumerate(self._spec.vpcs):
            first = 0xE000 + 0x20 * number
            self._vpc(name, f"vpc-{0xA001 + number:017x}", first, first + 0x10)

    def _vpc(self, name: str, vpc_id: str, first: int, first_public: int | None) -> None:
        """One private subnet in each zone, and one public one."""
        self.vpcs[name] = vpc_id
        for public, start in ((False, first), (True, first_public)):
            made = self._ids[name, public] = {}
            for number, zone in enumerate(self._spec.zones if start is not None else (), start=1):
                made[zone] = f"subnet-{(start or 0) + number:017x}"
                default = public and name == DEFAULT
                self._ec2.add_subnet(made[zone], zone, vpc_id, public=public, default=default)

    def of(self, vpc: str | None, *, public: bool) -> list[str]:
        """Ids of the subnets of a VPC, one in each zone."""
        return list(self._ids[vpc or DEFAULT, public].values())

    def named(self, name: str, *, public: bool) -> str | None:
        """`ZONE` of the default VPC, or `VPC:ZONE`."""
        vpc, _, zone = name.rpartition(":")
        return self._ids.get((vpc or DEFAULT, public), {}).get(zone)
