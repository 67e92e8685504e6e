"""Which Application Load Balancer an Express service is placed on, and where in the network it is.

Source: Amazon ECS Developer Guide, "How Amazon ECS Express Mode services work": up to 25 services of a VPC share one;
public subnets make it internet-facing, private ones internal; the first service decides on its subnets, and later ones
must be in its Availability Zones; one that no service uses any more is removed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from twin.ecs.express.calls import Job
from twin.ecs.express.model import Ingress, Managed, Scheme, SharedBalancer
from twin.ecs.model import Service
from twin.ecs.neighbours import Subnet
from twin.ecs.operations.common import invalid
from twin.errors import Unmodelled

if TYPE_CHECKING:
    from twin.ecs.engine import Engine

MOST = 25


class Balancers:
    """
    Attributes:
        shared: those that services are placed on, oldest first.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.shared: list[SharedBalancer] = []

    def subnets(self, given: Sequence[str]) -> list[Subnet]:
        """The subnets of a service: those given, or the default ones of the account."""
        network = self._engine.network
        if network is None:
            raise Unmodelled("ecs: an Express service in a world whose ECS knows no subnets")
        unknown = [name for name in given if name not in network.subnets]
        if unknown:
            raise invalid(f"The subnet ID '{unknown[0]}' does not exist")
        found = [network.subnets[name] for name in given] or [one for one in network.subnets.values() if one.default]
        if not found:
            raise invalid("No default VPC was found. Specify networkConfiguration.subnets.")
        if len({one.vpc_id for one in found}) > 1:
            raise invalid("All subnets must be in the same VPC.")
        if len({one.zone.name for one in found}) < 2:
            raise invalid("At least two subnets in two different Availability Zones must be specified.")
        return found

    def place(self, subnets: Sequence[Subnet], job: Job | None = None) -> SharedBalancer:
        """The load balancer for a service in these subnets, a new one if none has room.

        InvalidParameterException if there is room, but not in the service's zones (that they must match is documented,
        what AWS answers is not).
        """
        scheme, vpc_id = self.scheme(subnets), subnets[0].vpc_id
        fitting = [one for one in self.shared if (one.vpc_id, one.scheme) == (vpc_id, scheme)]
        open_ones = [one for one in fitting if len(one.services) < MOST and self._stands(one, job)]
        for one in open_ones:
            if not self._beyond(one, subnets):
                return one
        if open_ones:
            self.check_zones(open_ones[0], subnets)
        now = self._engine.kernel.clock.now()
        zones: dict[str, str] = {}
        for subnet in subnets:
            zones.setdefault(subnet.zone.name, subnet.subnet_id)
        return SharedBalancer(vpc_id, scheme, zones, Managed(now), Managed(now), Managed(now))

    def _stands(self, balancer: SharedBalancer, job: Job | None) -> bool:
        """Whether a load balancer that was left behind is still there: somebody may have deleted it."""
        if not balancer.abandoned or job is None:
            return True
        if self._engine.express.resources.exists("load_balancer", balancer.load_balancer, job):
            return True
        self.shared.remove(balancer)
        return False

    def join(self, ingress: Ingress, service: Service) -> None:
        balancer = ingress.balancer
        if balancer not in self.shared:
            self.shared.append(balancer)
        balancer.services.append(service.arn)
        balancer.abandoned = False

    def leave(self, ingress: Ingress, service: Service) -> bool:
        """A service is off its load balancer. True if nobody is left on it: no service is placed on it any more."""
        balancer = ingress.balancer
        if ingress.placed:
            ingress.placed = False
            balancer.services.remove(service.arn)
        if balancer.services:
            return False
        if balancer in self.shared:
            self.shared.remove(balancer)
        return True

    def after(self, balancer: SharedBalancer) -> None:
        """Nobody is left on it; if it was not deleted, services may come to it again, where the world has it so."""
        stands = balancer.listener.arn is not None and balancer.load_balancer.status != "DELETED"
        if stands and self._engine.options.express.reuses_balancers and not balancer.services:
            balancer.abandoned = True
            if balancer not in self.shared:
                self.shared.append(balancer)

    def scheme(self, subnets: Sequence[Subnet]) -> Scheme:
        public = {one.public for one in subnets}
        if len(public) > 1:
            raise Unmodelled("ecs: an Express service in public and private subnets")
        return "internet-facing" if public == {True} else "internal"

    def check_zones(self, balancer: SharedBalancer, subnets: Sequence[Subnet]) -> None:
        beyond = self._beyond(balancer, subnets)
        if beyond:
            raise invalid(
                f"The Availability Zone {beyond[0]} is not one of the load balancer that the service shares: "
                f"{', '.join(balancer.subnets)}."
            )

    def _beyond(self, balancer: SharedBalancer, subnets: Sequence[Subnet]) -> list[str]:
        return sorted({one.zone.name for one in subnets} - set(balancer.subnets))
