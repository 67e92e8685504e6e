"""What brings requests to Express services: load balancers, listeners, certificates, rules, target groups.

Sources: Amazon ECS Developer Guide, "Resources created by Amazon ECS Express Mode services"; ELBv2 API; ACM API. Names,
the 404 of the default action and the weights: published answers of AWS.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twin.ecs.express.calls import Calls, Job
from twin.ecs.express.model import TAG_LIST, Ingress, Managed, SharedBalancer
from twin.ecs.express.requests import main_container
from twin.ecs.model import TaskDefinition

if TYPE_CHECKING:
    from twin.ecs.engine import Engine

_NOTHING = {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404", "ContentType": "text/plain"}}


class Paths:
    def __init__(self, engine: Engine, calls: Calls) -> None:
        self._engine = engine
        self._calls = calls

    # --- the shared load balancer ------------------------------------------------------------------------------------
    def make_load_balancer(self, balancer: SharedBalancer, job: Job) -> None:
        groups, subnets = [balancer.group_id], list(balancer.subnets.values())
        made = self._calls(
            "elbv2",
            "CreateLoadBalancer",
            job,
            Name=f"ecs-express-gateway-alb-{self._calls.hex(8)}",
            Type="application",
            Scheme=balancer.scheme,
            Subnets=subnets,
            SecurityGroups=groups,
            Tags=TAG_LIST,
        )["LoadBalancers"][0]
        balancer.load_balancer.arn = made["LoadBalancerArn"]
        balancer.load_balancer.facts |= {"subnetIds": subnets, "securityGroupIds": groups}

    def make_listener(self, balancer: SharedBalancer, certificate: Managed, job: Job) -> None:
        """The first service's certificate is the listener's default one."""
        made = self._calls(
            "elbv2",
            "CreateListener",
            job,
            LoadBalancerArn=balancer.load_balancer.arn,
            Protocol="HTTPS",
            Port=443,
            Certificates=[{"CertificateArn": certificate.arn}],
            DefaultActions=[_NOTHING],
            Tags=TAG_LIST,
        )["Listeners"][0]
        balancer.listener.arn = made["ListenerArn"]

    # --- certificates ------------------------------------------------------------------------------------------------
    def make_certificate(self, job: Job) -> None:
        """Amazon's own domain: ACM issues it without the customer."""
        express = job.express
        express.certificate.arn = self._calls(
            "acm",
            "RequestCertificate",
            job,
            DomainName=express.endpoint,
            ValidationMethod="DNS",
            Tags=TAG_LIST,
        )["CertificateArn"]

    def add_certificate(self, ingress: Ingress, job: Job) -> None:
        """The certificates of later services are in the listener's list."""
        listener, certificate = str(ingress.balancer.listener.arn), job.express.certificate.arn
        if (certificate, True) not in self._certificates(listener, job):
            added = [{"CertificateArn": certificate}]
            self._calls("elbv2", "AddListenerCertificates", job, ListenerArn=listener, Certificates=added)

    def remove_certificate(self, ingress: Ingress, others: list[str], job: Job) -> None:
        """Take the service's certificate off the listener; if it is the default one, another of `others` becomes it,
        where the world has it so."""
        listener, certificate = ingress.balancer.listener.arn, job.express.certificate.arn
        if listener is None or certificate is None:
            return
        there = self._certificates(listener, job)
        if (certificate, True) in there and others and self._engine.options.express.default_certificate == "swapped":
            default = {"ListenerArn": listener, "Certificates": [{"CertificateArn": others[0]}]}
            self._calls.on_tagged(listener, "elbv2", "ModifyListener", job, **default)
        if (certificate, False) in there:
            listed = {"ListenerArn": listener, "Certificates": [{"CertificateArn": certificate}]}
            self._calls.on_tagged(listener, "elbv2", "RemoveListenerCertificates", job, **listed)

    def _certificates(self, listener: str, job: Job) -> set[tuple[str, bool]]:
        """Of each certificate on a listener whether it is the default one."""
        found: set[tuple[str, bool]] = set()
        params: dict[str, Any] = {"ListenerArn": listener}
        while True:
            answer = self._calls("elbv2", "DescribeListenerCertificates", job, **params)
            found |= {(one["CertificateArn"], bool(one.get("IsDefault"))) for one in answer["Certificates"]}
            if not answer.get("NextMarker"):
                return found
            params["Marker"] = answer["NextMarker"]

    # --- a service's own ---------------------------------------------------------------------------------------------
    def make_target_group(self, ingress: Ingress, managed: Managed, job: Job) -> None:
        made = self._calls(
            "elbv2",
            "CreateTargetGroup",
            job,
            Name=f"ecs-gateway-tg-{self._calls.hex(17)}",
            Protocol="HTTP",
            Port=managed.facts["port"],
            VpcId=ingress.balancer.vpc_id,
            TargetType="ip",
            HealthCheckPath=managed.facts["healthCheckPath"],
            Tags=TAG_LIST,
        )["TargetGroups"][0]
        managed.arn = made["TargetGroupArn"]

    def set_health_check(self, managed: Managed, path: str, job: Job) -> None:
        """The next revision's health check path, in the target group that it will use."""
        if managed.facts["healthCheckPath"] != path:
            self._calls("elbv2", "ModifyTargetGroup", job, TargetGroupArn=managed.arn, HealthCheckPath=path)
            managed.facts["healthCheckPath"] = path

    def make_rule(self, ingress: Ingress, job: Job) -> None:
        listener = ingress.balancer.listener.arn
        rules = self._calls("elbv2", "DescribeRules", job, ListenerArn=listener)["Rules"]
        used = {rule["Priority"] for rule in rules}
        priority = next(number for number in range(1, 50_001) if str(number) not in used)
        weights = zip(ingress.target_groups, (100, 0), strict=True)
        groups = [{"TargetGroupArn": group.arn, "Weight": weight} for group, weight in weights]
        made = self._calls(
            "elbv2",
            "CreateRule",
            job,
            ListenerArn=listener,
            Priority=priority,
            Conditions=[{"Field": "host-header", "HostHeaderConfig": {"Values": [job.express.endpoint]}}],
            Actions=[{"Type": "forward", "ForwardConfig": {"TargetGroups": groups}}],
            Tags=TAG_LIST,
        )["Rules"][0]
        ingress.rule.arn = made["RuleArn"]

    def load_balancers(self, ingress: Ingress, definition: TaskDefinition, role: str) -> list[dict[str, Any]]:
        """The service's loadBalancers, in the words of CreateService."""
        first, second = ingress.target_groups
        main = main_container(definition)
        return [
            {
                "targetGroupArn": first.arn,
                "containerName": main["name"],
                "containerPort": main["portMappings"][0]["containerPort"],
                "advancedConfiguration": {
                    "alternateTargetGroupArn": second.arn,
                    "productionListenerRule": ingress.rule.arn,
                    "roleArn": role,
                },
            }
        ]

    # --- deleting ----------------------------------------------------------------------------------------------------
    def delete(self, managed: Managed, job: Job) -> None:
        """Delete a rule, target group, load balancer or certificate."""
        arn = str(managed.arn)
        kind = arn.split(":", 5)[5].partition("/")[0]
        api, operation, member = {
            "listener-rule": ("elbv2", "DeleteRule", "RuleArn"),
            "targetgroup": ("elbv2", "DeleteTargetGroup", "TargetGroupArn"),
            "loadbalancer": ("elbv2", "DeleteLoadBalancer", "LoadBalancerArn"),
            "certificate": ("acm", "DeleteCertificate", "CertificateArn"),
        }[kind]
        self._calls.on_tagged(arn, api, operation, job, **{member: arn})
