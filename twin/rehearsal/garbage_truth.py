"""Who really uses a resource at the moment at which it is about to be deleted: read from the twin's own state.

This is the judge of Caretaker's sweeps, so it shares nothing with them: no graph, no listing, no ledger. What ECS made
for which Express service is what the twin's ECS has written down itself, of every service that ever was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from twin.ecs.express.model import Ingress
from twin.ecs.model import Service
from twin.kernel.api import AWS_ECS, Call
from twin.rehearsal.garbage_made import definitions, ingresses, made, names_group, needs, over, path_of
from twin.rehearsal.garbage_people import People

if TYPE_CHECKING:
    from twin.neighbours.elbv2_model import Listener
    from twin.world import World

Params = Mapping[str, Any]


class Truth:
    """Knows every Express service from the moment at which it is told to remember them."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._people = People(world)
        self._services: dict[int, Service] = {}
        self.remember()

    def remember(self) -> None:
        """Services that are created again under one name are two: look whenever one may have come."""
        for service in self._world.ecs.store.services.values():
            if service.express is not None:
                self._services.setdefault(id(service), service)

    @property
    def express(self) -> list[Service]:
        """Every Express service that ever was, oldest first."""
        return list(self._services.values())

    # --- what a call would take from whom ----------------------------------------------------------------------------
    def deletes(self, call: Call) -> bool:
        """Whether the call takes something away."""
        return f"{call.service}:{call.operation}" in _TAKES

    def users(self, call: Call) -> tuple[str, ...]:
        """Why what the call takes away is no garbage, in words; empty if it is. `deletes(call)` holds."""
        return tuple(dict.fromkeys(_TAKES[f"{call.service}:{call.operation}"](self, call.params)))

    def why_not(self, operation: str, params: Params) -> Iterator[str]:
        """As `users`, of a call that might be made, such as `deletion` tells."""
        return _TAKES[operation](self, params)

    def garbage(self) -> list[str]:
        """ARNs of what ECS made for services that are dead now, and of load balancers without a service: all that
        still is there and that nobody uses."""
        found = []
        for arn, (operation, params) in self._left():
            if not tuple(_TAKES[operation](self, params)):
                found.append(arn)
        return found

    # --- whose it is -------------------------------------------------------------------------------------------------
    def makers(self, arn: str) -> list[tuple[Service, Ingress | None]]:
        """The services for which ECS made a resource, with the ingress that it is a part of."""
        return [(service, ingress) for service in self.express for ingress, one in made(service) if one.arn == arn]

    def tenants(self, arn: str) -> list[Service]:
        """The services that ever were on a shared load balancer, by its ARN or its security group's."""
        return [
            service
            for service in self.express
            if any(arn in (at.balancer.load_balancer.arn, at.balancer.security_group.arn) for at in ingresses(service))
        ]

    def _unowned(self, arn: str) -> Iterator[str]:
        """Why a resource is not that of dead services alone, or somebody wants it to stay."""
        yield from self._people.wishes(arn)
        yield from self._others(arn)

    def _others(self, arn: str) -> Iterator[str]:
        """Why a resource is not that of dead services alone."""
        makers = self.makers(arn)
        if not makers:
            yield "ECS never made it for an Express service"
        for service, ingress in makers:
            if needs(service, ingress):
                yield f"service {path_of(service)} lives"

    def living(self) -> Iterator[Service]:
        """Every service that is not INACTIVE, of any kind."""
        return (one for one in self._world.ecs.store.services.values() if one.status != "INACTIVE" and not over(one))

    # --- load balancing ----------------------------------------------------------------------------------------------
    def rule(self, params: Params) -> Iterator[str]:
        rule = self._world.elbv2.rules.get(params["RuleArn"])
        if rule is None:
            return
        yield from self._unowned(rule.arn)
        own = {service.express.endpoint for service, _ in self.makers(rule.arn) if service.express is not None}
        for condition in rule.conditions:
            for host in condition.get("HostHeaderConfig", {}).get("Values", ()):
                if host not in own:
                    yield f"the rule answers for {host}"
        for group in rule.target_groups:
            # Who wants a target group to stay has that; the rule is ECS's to delete still.
            yield from (f"it forwards to {group}: {words}" for words in self._others(group))
        if any(action["Type"] != "forward" for action in rule.actions):
            yield "somebody gave the rule another action"

    def target_group(self, params: Params) -> Iterator[str]:
        group = self._world.elbv2.target_groups.get(params["TargetGroupArn"])
        if group is None:
            return
        yield from self._unowned(group.arn)
        yield from (f"rule {rule.arn} forwards to it" for rule in self._world.elbv2.rules_to(group.arn))
        yield from self._watched(group.arn.rpartition(":")[2])
        for (target, _), one in group.targets.items():
            if one.state != "draining":
                yield f"target {target} is registered in it"

    def load_balancer(self, params: Params) -> Iterator[str]:
        elbv2 = self._world.elbv2
        balancer = elbv2.load_balancers.get(params["LoadBalancerArn"])
        if balancer is None:
            return
        yield from self._not_shared_by_the_dead(balancer.arn)
        yield from self._people.before(balancer)
        yield from self._watched(balancer.arn.partition(":loadbalancer/")[2])
        listeners = {str(one.listener.arn) for one in self._balancers()}
        for listener in elbv2.listeners_of(balancer.arn):
            if listener.arn not in listeners:
                yield f"listener {listener.port} is not ECS's"
            for rule in elbv2.rules_of(listener.arn):
                if not rule.is_default:
                    yield f"rule {rule.priority} of its listener {listener.port} is there"
                elif rule.target_groups:
                    yield f"its listener {listener.port} forwards by default"
            yield from self._strange_certificates(listener)
        for group in elbv2.target_groups.values():
            if any(target == balancer.arn for target, _ in group.targets):
                yield f"target group {group.name} has it as a target"

    def _strange_certificates(self, listener: Listener) -> Iterator[str]:
        for arn in (listener.default_certificate, *listener.more_certificates):
            if arn is not None and not self.makers(arn):
                yield f"certificate {arn}, which ECS never made, is on its listener {listener.port}"

    def listener(self, params: Params) -> Iterator[str]:
        yield "Caretaker deletes no listener by itself"

    def default_certificate(self, params: Params) -> Iterator[str]:
        """The default certificate may give way to a living service's, where the present one is a dead one's."""
        listener = self._world.elbv2.listeners[params["ListenerArn"]]
        if set(params) != {"ListenerArn", "Certificates"}:
            yield f"more than the certificate of listener {listener.port} is changed: {sorted(params)}"
        present = [listener.default_certificate] if listener.default_certificate else []
        for arn in present:
            yield from (f"its default certificate: {words}" for words in self._unowned(arn))
        for one in params.get("Certificates", ()):
            if not any(needs(*maker) for maker in self.makers(one["CertificateArn"])):
                yield f"the new default certificate {one['CertificateArn']} is no living service's"

    def listed_certificates(self, params: Params) -> Iterator[str]:
        for one in params["Certificates"]:
            yield from self._unowned(one["CertificateArn"])

    def certificate(self, params: Params) -> Iterator[str]:
        account = self._world.account
        arn = params["CertificateArn"]
        if arn in account.acm.certificates:
            yield from self._unowned(arn)
            yield from (f"{user} uses it" for user in account.acm.in_use_by(arn))

    def _balancers(self) -> list[Any]:
        """Every shared load balancer that a service was ever on."""
        found = {id(ingress.balancer): ingress.balancer for service in self.express for ingress in ingresses(service)}
        return list(found.values())

    def _not_shared_by_the_dead(self, arn: str) -> Iterator[str]:
        """Why a load balancer, or its security group, is not what dead services left behind."""
        yield from self._people.wishes(arn)
        of = [one for one in self._balancers() if arn in (one.load_balancer.arn, one.security_group.arn)]
        if not of:
            yield "ECS never made it for Express services"
        for service in self.express:
            for ingress in ingresses(service):
                if ingress.balancer in of and needs(service, ingress):
                    yield f"service {path_of(service)} is on it"

    # --- security groups ---------------------------------------------------------------------------------------------
    def security_group(self, params: Params) -> Iterator[str]:
        ec2, group_id = self._world.ec2, params["GroupId"]
        group = ec2.security_groups.groups.get(group_id)
        if group is None:
            return
        arn = self._world.kernel.arn("ec2", f"security-group/{group_id}")
        if any(one.security_group.arn == arn for one in self._balancers()):
            yield from self._not_shared_by_the_dead(arn)
        else:
            yield from self._unowned(arn)
        for interface in ec2.interfaces.interfaces.values():
            if group_id in interface.groups:
                yield f"network interface {interface.interface_id} is in it"
        for rule in ec2.security_groups.references_to(group_id):
            if rule.group_id != group_id:
                yield f"rule {rule.rule_id} of {rule.group_id} names it"
        yield from (
            f"service {path_of(service)} names it" for service in self.living() if names_group(service, group_id)
        )
        yield from self._people.runs(group_id)
        for template in ec2.templates.values():
            if group_id in repr(template):
                yield f"launch template {template.name} names it"

    def revoked(self, params: Params) -> Iterator[str]:
        """Only rules that ECS made between a shared group and a dead service's may go."""
        store = self._world.ec2.security_groups
        if "SecurityGroupRuleIds" not in params:
            yield "rules are revoked by what they say, not by their ids"
        for rule_id in params.get("SecurityGroupRuleIds", ()):
            rule = store.rules.get(rule_id)
            if rule is None:
                continue
            if rule.referenced is None:
                yield f"rule {rule_id} names no group"
                continue
            arn = self._world.kernel.arn("ec2", f"security-group/{rule.referenced}")
            yield from (f"{rule.referenced}, which rule {rule_id} names: {words}" for words in self._unowned(arn))
            if not self._by_ecs(rule.group_id, rule.referenced):
                yield f"rule {rule_id} was not made by ECS"

    def _by_ecs(self, group_id: str, named: str) -> bool:
        """Whether ECS, and nobody else, let the one group speak with the other."""
        callers = set()
        for call in self._world.kernel.calls:
            if call.operation.startswith("AuthorizeSecurityGroup") and call.params.get("GroupId") == group_id:
                permissions = call.params.get("IpPermissions", ())
                pairs = [pair["GroupId"] for one in permissions for pair in one.get("UserIdGroupPairs", ())]
                if call.error is None and named in pairs:
                    callers.add(call.caller)
        return callers == {AWS_ECS}

    # --- scaling and alarms ------------------------------------------------------------------------------------------
    def alarms(self, params: Params) -> Iterator[str]:
        for name in params["AlarmNames"]:
            yield from self._alarm(name)

    def _alarm(self, name: str) -> Iterator[str]:
        store = self._world.alarms
        if name in store.composites:
            yield f"{name} is a composite alarm, which ECS makes none of"
        if name not in store.alarms:
            return
        arn = self._world.kernel.arn("cloudwatch", f"alarm:{name}")
        if self.makers(arn):
            yield from self._unowned(arn)
        else:
            yield from self._of_policy(name)
        for composite in store.composites.values():
            if name in composite.children:
                yield f"composite alarm {composite.name} watches it"

    def _watched(self, dimension: str) -> Iterator[str]:
        """Alarms on a metric with this value of a dimension, if somebody uses them."""
        for name, alarm in list(self._world.alarms.alarms.items()):
            if dimension in repr(alarm):
                yield from (f"alarm {name} watches it, and {words}" for words in self._alarm(name))

    def _of_policy(self, name: str) -> Iterator[str]:
        """An alarm that Application Auto Scaling made for a policy goes with the service that was scaled."""
        path = name.removeprefix("TargetTracking-service/")
        dead = [
            one for one in self.express if path.startswith((f"{path_of(one)}-AlarmHigh", f"{path_of(one)}-AlarmLow"))
        ]
        if path == name or not dead:
            yield f"{name} is nobody's that was an Express service"
        for service in self.living():
            if path.startswith((f"{path_of(service)}-AlarmHigh", f"{path_of(service)}-AlarmLow")):
                yield f"service {path_of(service)} is scaled by it"

    def scaling(self, params: Params) -> Iterator[str]:
        path = str(params["ResourceId"]).removeprefix("service/")
        if not any(path_of(service) == path for service in self.express):
            yield f"{path} never was an Express service"
        for service in self.living():
            if path_of(service) == path:
                yield f"service {path} lives"

    def scalable_target(self, params: Params) -> Iterator[str]:
        yield from self.scaling(params)
        target = self._world.account.scaling.targets.get(params["ResourceId"])
        if target is None:
            return
        yield from (f"scheduled action {name} would go with it" for name in target.actions)
        for policy in target.policies.values():
            if not self.makers(policy.arn):
                yield f"policy {policy.name}, which is not ECS's, would go with it"

    # --- what is kept unless policy says else ------------------------------------------------------------------------
    def log_group(self, params: Params) -> Iterator[str]:
        logs = self._world.account.logs
        name = params["logGroupName"]
        group = logs.groups.get(name)
        if group is None:
            return
        yield from self._unowned(logs.arn(name))
        yield from (f"filter {one} reads it" for one in (*group.subscriptions, *group.metrics))
        for service in self.living():
            for definition in definitions(service):
                if f"'{name}'" in repr(definition.raw):
                    yield f"service {path_of(service)} writes to it"

    def task_definition(self, params: Params) -> Iterator[str]:
        for given in params.get("taskDefinitions") or [params["taskDefinition"]]:
            name = str(given).rpartition("/")[2]
            yield from self._people.runs(name)
            for service in self.living():
                if any(definition.arn.rpartition("/")[2] == name for definition in definitions(service)):
                    yield f"service {path_of(service)} has {name}"
            for task in self._world.ecs.store.tasks.values():
                if task.last_status != "STOPPED" and task.definition.arn.rpartition("/")[2] == name:
                    yield f"task {task.arn} runs {name}"

    def cluster(self, params: Params) -> Iterator[str]:
        name = str(params["cluster"]).rpartition("/")[2]
        yield from self._people.runs(name)
        yield from (f"service {path_of(one)} is in it" for one in self.living() if one.cluster.name == name)
        for task in self._world.ecs.store.tasks.values():
            if task.last_status != "STOPPED" and task.cluster.name == name:
                yield f"task {task.arn} runs in it"

    # --- what is left ------------------------------------------------------------------------------------------------
    def _left(self) -> Iterator[tuple[str, tuple[str, Params]]]:
        """What ECS made that still is there, with the call that would delete it."""
        for service in self.express:
            for _, one in made(service):
                yield from ((str(one.arn), call) for call in self.deletion(str(one.arn)))
            resource = f"service/{path_of(service)}"
            target = self._world.account.scaling.targets.get(resource)
            if target is not None:
                yield target.arn, ("application-autoscaling:DeregisterScalableTarget", {"ResourceId": resource})
        for shared in self._balancers():
            for arn in (str(shared.load_balancer.arn), str(shared.security_group.arn)):
                yield from ((arn, call) for call in self.deletion(arn))

    def deletion(self, arn: str) -> Iterator[tuple[str, Params]]:
        """The call that would delete a resource that is there."""
        elbv2 = self._world.elbv2
        group, alarm = arn.rpartition("security-group/")[2], arn.partition(":alarm:")[2]
        if arn in elbv2.rules:
            yield "elbv2:DeleteRule", {"RuleArn": arn}
        elif arn in elbv2.target_groups:
            yield "elbv2:DeleteTargetGroup", {"TargetGroupArn": arn}
        elif arn in elbv2.load_balancers:
            yield "elbv2:DeleteLoadBalancer", {"LoadBalancerArn": arn}
        elif arn in self._world.account.acm.certificates:
            yield "acm:DeleteCertificate", {"CertificateArn": arn}
        elif group in self._world.ec2.security_groups.groups:
            yield "ec2:DeleteSecurityGroup", {"GroupId": group}
        elif alarm in self._world.alarms.alarms:
            yield "cloudwatch:DeleteAlarms", {"AlarmNames": [alarm]}


_TAKES: Mapping[str, Callable[[Truth, Params], Iterator[str]]] = {
    "elbv2:DeleteRule": Truth.rule,
    "elbv2:DeleteTargetGroup": Truth.target_group,
    "elbv2:DeleteLoadBalancer": Truth.load_balancer,
    "elbv2:DeleteListener": Truth.listener,
    "elbv2:ModifyListener": Truth.default_certificate,
    "elbv2:RemoveListenerCertificates": Truth.listed_certificates,
    "acm:DeleteCertificate": Truth.certificate,
    "ec2:DeleteSecurityGroup": Truth.security_group,
    "ec2:RevokeSecurityGroupEgress": Truth.revoked,
    "ec2:RevokeSecurityGroupIngress": Truth.revoked,
    "cloudwatch:DeleteAlarms": Truth.alarms,
    "application-autoscaling:DeleteScalingPolicy": Truth.scaling,
    "application-autoscaling:DeregisterScalableTarget": Truth.scalable_target,
    "logs:DeleteLogGroup": Truth.log_group,
    "ecs:DeregisterTaskDefinition": Truth.task_definition,
    "ecs:DeleteTaskDefinitions": Truth.task_definition,
    "ecs:DeleteCluster": Truth.cluster,
}
