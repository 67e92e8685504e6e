"""Load balancers, listeners, rules and target groups as they stand, and what all of ELBv2's operations share."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from twin.errors import AwsError
from twin.kernel.kernel import Kernel
from twin.neighbours.common import hex_id, page
from twin.neighbours.ec2 import Ec2
from twin.neighbours.elbv2_attributes import new_load_balancer_attributes
from twin.neighbours.routing import Course
from twin.neighbours.targets import Elbv2Options, TargetGroup, Targets

Actions = list[dict[str, Any]]
DEFAULT = "default"
"""Priority of a listener's default rule."""
LAST_PRIORITY = 50_000
SECURE = ("HTTPS", "TLS")
"""Protocols of listeners that have certificates."""
_NAME = re.compile(r"(?!-)[A-Za-z0-9-]{1,32}(?<!-)")
_BAD_MARKER = AwsError("ValidationError", "Marker is not valid")


@dataclass
class LoadBalancer:
    """A load balancer; `zones` maps zone to subnet, `interfaces` are the ids of its network interfaces, one a zone."""

    arn: str
    name: str
    number: int
    kind: str
    scheme: str
    vpc_id: str
    zones: dict[str, str]
    security_groups: list[str]
    created: datetime
    active: bool = False
    interfaces: list[str] = field(default_factory=list)
    attributes: dict[str, str] = field(init=False)
    tags: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.attributes = new_load_balancer_attributes(self.kind)


@dataclass
class Listener:
    """A listener. Its default actions are those of its default rule; `more_certificates` is its certificate list."""

    arn: str
    load_balancer: LoadBalancer
    number: int
    port: int
    protocol: str
    default_certificate: str | None = None
    more_certificates: list[str] = field(default_factory=list)
    ssl_policy: str | None = None
    tags: dict[str, str] = field(default_factory=dict)


@dataclass
class Rule:
    """A rule of a listener.

    Attributes:
        priority: a number in text, or `default`.
        conditions, actions: in the form in which AWS returns them.
        course: where its requests go, and went.
    """

    arn: str
    listener: Listener
    priority: str
    conditions: list[dict[str, Any]]
    actions: Actions
    course: Course
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def is_default(self) -> bool:
        return self.priority == DEFAULT

    @property
    def place(self) -> int:
        """Where it comes in the order of evaluation; the default rule comes last."""
        return LAST_PRIORITY + 1 if self.is_default else int(self.priority)

    @property
    def target_groups(self) -> tuple[str, ...]:
        """ARNs of the target groups that it refers to, with weight 0 too."""
        return tuple(self.course.routing.weights)


class Balancing:
    """The store behind the operations: finds things by ARN or raises the error that AWS answers."""

    kernel: Kernel
    options: Elbv2Options
    ec2: Ec2 | None

    def __init__(self, kernel: Kernel, options: Elbv2Options | None = None, *, ec2: Ec2 | None = None) -> None:
        self.kernel = kernel
        self.options = options or Elbv2Options()
        self.ec2 = ec2
        self.load_balancers: dict[str, LoadBalancer] = {}
        self.listeners: dict[str, Listener] = {}
        self.rules: dict[str, Rule] = {}
        self.target_groups: dict[str, TargetGroup] = {}
        self.listeners_with: dict[str, dict[str, None]] = {}
        self._targets = Targets(kernel, self.options)
        self._ids = kernel.rng("elbv2/ids")
        self._made = 0

    # --- finding -----------------------------------------------------------------------------------------------------
    def balancer(self, arn: str) -> LoadBalancer:
        """The load balancer; AwsError LoadBalancerNotFound if there is none."""
        found = self.load_balancers.get(arn)
        if found is None:
            raise AwsError("LoadBalancerNotFound", f"Load balancers '[{arn}]' not found")
        return found

    def listener(self, arn: str) -> Listener:
        """The listener; AwsError ListenerNotFound if there is none."""
        found = self.listeners.get(arn)
        if found is None:
            raise AwsError("ListenerNotFound", f"Listeners '{arn}' not found")
        return found

    def rule(self, arn: str) -> Rule:
        """The rule; AwsError RuleNotFound if there is none."""
        found = self.rules.get(arn)
        if found is None:
            raise AwsError("RuleNotFound", f"Rules '{arn}' not found")
        return found

    def group(self, arn: str) -> TargetGroup:
        """The target group; AwsError TargetGroupNotFound if there is none."""
        found = self.target_groups.get(arn)
        if found is None:
            raise AwsError("TargetGroupNotFound", f"Target groups '{arn}' not found")
        return found

    def listeners_of(self, load_balancer_arn: str) -> list[Listener]:
        """The load balancer's listeners, oldest first."""
        return [one for one in self.listeners.values() if one.load_balancer.arn == load_balancer_arn]

    def rules_of(self, listener_arn: str) -> list[Rule]:
        """The listener's rules in the order in which they are evaluated, the default rule last."""
        listener = self.listener(listener_arn)
        return sorted((one for one in self.rules.values() if one.listener is listener), key=lambda one: one.place)

    def default_rule(self, listener_arn: str) -> Rule:
        """The listener's default rule; AwsError ListenerNotFound if there is no such listener."""
        return self.rules_of(listener_arn)[-1]

    def rules_to(self, target_group_arn: str) -> list[Rule]:
        """The rules whose actions refer to the target group, with weight 0 too; oldest first."""
        return [one for one in self.rules.values() if target_group_arn in one.target_groups]

    def is_target(self, balancer_arn: str, port: int | None = None) -> bool:
        """Whether an application load balancer (its listener on `port`) is a network load balancer's target."""
        return any(
            target_id == balancer_arn and port in (None, target_port)
            for group in self.target_groups.values()
            if group.settings["TargetType"] == "alb"
            for target_id, target_port in group.targets
        )

    # --- making ------------------------------------------------------------------------------------------------------
    def _arn(self, resource: str) -> str:
        return self.kernel.arn("elasticloadbalancing", resource)

    def _hex(self) -> str:
        return hex_id(self._ids, "", 16)

    def _number(self) -> int:
        """Rises with each thing that is made: pages are in this order."""
        self._made += 1
        return self._made


N = TypeVar("N", LoadBalancer, Listener, TargetGroup)
T = TypeVar("T")


def chosen(
    found: Iterable[T], params: Mapping[str, Any], by: Mapping[str, Callable[[T], str]], code: str, what: str
) -> list[T]:
    """Those that the request names by ARN or name; all if it names none."""
    kept = list(found)
    for member, value in by.items():
        if member in params:
            known = {value(one) for one in kept}
            missing = [name for name in params[member] if name not in known]
            if missing:
                raise AwsError(code, f"{what} '{', '.join(missing)}' not found")
            kept = [one for one in kept if value(one) in params[member]]
    return kept


def paged(
    found: Sequence[N], params: Mapping[str, Any], member: str, view: Callable[[N], dict[str, Any]]
) -> dict[str, Any]:
    """A page of at most 400 (ELBv2 API: PageSize), in order of making."""
    return ordered_page(found, params, member, view, lambda one: one.number)


def ordered_page(
    found: Sequence[T],
    params: Mapping[str, Any],
    member: str,
    view: Callable[[T], dict[str, Any]],
    number: Callable[[T], int],
) -> dict[str, Any]:
    """A page of `found`, which is in rising order of `number`."""
    size = params.get("PageSize", 400)
    if not 1 <= size <= 400:
        raise invalid(f"PageSize must be between 1 and 400, not {size}")
    shown, marker = page(found, params.get("Marker"), size, number, _BAD_MARKER)
    return {member: [view(one) for one in shown]} | ({"NextMarker": marker} if marker else {})


def invalid(text: str) -> AwsError:
    return AwsError("ValidationError", text)


def check_name(name: str, what: str) -> None:
    """ValidationError unless `name` is one that ELBv2 takes (ELBv2 API: Name)."""
    if not _NAME.fullmatch(name):
        raise invalid(
            f"{what} name '{name}' can only contain characters that are alphanumeric characters and hyphens(-), "
            "cannot begin or end with a hyphen, and cannot be longer than 32 characters"
        )
