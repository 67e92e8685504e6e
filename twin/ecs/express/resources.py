"""How ECS makes and deletes the resources of an Express service.

Load balancers, listeners, rules, target groups and alarms are real ones of the twin's neighbours, made and deleted
through their APIs. Security groups, certificates, log groups, scalable targets and scaling policies are recorded with
their ARNs alone: their services are not in the twin, which says so (`Unmodelled`) to who calls them.
Sources: ECS API: ManagedLoadBalancer, ManagedListener, ManagedListenerRule, ManagedTargetGroup, ManagedCertificate,
ManagedSecurityGroup, ManagedLogGroup, ManagedMetricAlarm, ManagedScalableTarget, ManagedApplicationAutoScalingPolicy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twin.ecs.express.alarm import alarm
from twin.ecs.express.model import TAGS, Express, Managed, SharedBalancer
from twin.ecs.express.requests import main_container
from twin.ecs.model import Service, TaskDefinition
from twin.kernel.api import AWS_ECS, Call

if TYPE_CHECKING:
    from twin.ecs.engine import Engine

_TAGS = [{"Key": key, "Value": value} for key, value in TAGS.items()]
_NOTHING = {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404", "ContentType": "text/plain"}}


class Resources:
    """Makes and deletes. Every method raises AwsError as the API that it calls does."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._rng = engine.kernel.rng("ecs/express")

    def hex(self, digits: int) -> str:
        return f"{self._rng.getrandbits(4 * digits):0{digits}x}"

    def _call(self, api: str, operation: str, cause: Call | None, **params: Any) -> dict[str, Any]:
        answer: dict[str, Any] = self._engine.gateway.call(api, operation, params, AWS_ECS, cause=cause)
        return answer

    def _arn(self, service: str, resource: str) -> str:
        return self._engine.kernel.arn(service, resource)

    # --- recorded ----------------------------------------------------------------------------------------------------
    def record_log_group(self, managed: Managed) -> None:
        managed.arn = self._arn("logs", f"log-group:{managed.facts['logGroupName']}")

    def record_certificate(self, managed: Managed) -> None:
        managed.arn = self._arn("acm", f"certificate/{self._uuid()}")

    def record_security_group(self, managed: Managed) -> None:
        managed.arn = self._arn("ec2", f"security-group/sg-{self.hex(17)}")

    def record_scaling(self, service: Service, express: Express) -> None:
        path = f"{service.cluster.name}/{service.name}"
        express.scalable_target.arn = self._arn("application-autoscaling", f"scalable-target/{self.hex(32)}")
        policy = f"scalingPolicy:{self._uuid()}:resource/ecs/service/{path}:policyName/{_policy_name(service, express)}"
        express.policy.arn = self._arn("autoscaling", policy)

    def _uuid(self) -> str:
        return "-".join(self.hex(digits) for digits in (8, 4, 4, 4, 12))

    # --- the shared load balancer ------------------------------------------------------------------------------------
    def make_load_balancer(self, balancer: SharedBalancer, cause: Call | None) -> None:
        groups = [str(balancer.security_group.arn).rpartition("/")[2]]
        subnets = list(balancer.subnets.values())
        made = self._call(
            "elbv2",
            "CreateLoadBalancer",
            cause,
            Name=f"ecs-express-gateway-alb-{self.hex(8)}",
            Type="application",
            Scheme=balancer.scheme,
            Subnets=subnets,
            SecurityGroups=groups,
            Tags=_TAGS,
        )["LoadBalancers"][0]
        balancer.load_balancer.arn = made["LoadBalancerArn"]
        balancer.load_balancer.facts |= {"subnetIds": subnets, "securityGroupIds": groups}

    def make_listener(self, balancer: SharedBalancer, certificate: Managed, cause: Call | None) -> None:
        """The first service's certificate is the listener's default one; those of later ones are recorded only."""
        made = self._call(
            "elbv2",
            "CreateListener",
            cause,
            LoadBalancerArn=balancer.load_balancer.arn,
            Protocol="HTTPS",
            Port=443,
            Certificates=[{"CertificateArn": certificate.arn}],
            DefaultActions=[_NOTHING],
            Tags=_TAGS,
        )["Listeners"][0]
        balancer.listener.arn = made["ListenerArn"]

    # --- a service's own ---------------------------------------------------------------------------------------------
    def make_target_group(self, express: Express, managed: Managed, cause: Call | None) -> None:
        made = self._call(
            "elbv2",
            "CreateTargetGroup",
            cause,
            Name=f"ecs-gateway-tg-{self.hex(17)}",
            Protocol="HTTP",
            Port=managed.facts["port"],
            VpcId=express.balancer.vpc_id,
            TargetType="ip",
            HealthCheckPath=managed.facts["healthCheckPath"],
            Tags=_TAGS,
        )["TargetGroups"][0]
        managed.arn = made["TargetGroupArn"]

    def set_health_check(self, managed: Managed, path: str, cause: Call | None) -> None:
        """The next revision's health check path, in the target group that it will use."""
        if managed.facts["healthCheckPath"] != path:
            self._call("elbv2", "ModifyTargetGroup", cause, TargetGroupArn=managed.arn, HealthCheckPath=path)
            managed.facts["healthCheckPath"] = path

    def make_rule(self, express: Express, cause: Call | None) -> None:
        listener = express.balancer.listener.arn
        rules = self._call("elbv2", "DescribeRules", cause, ListenerArn=listener)["Rules"]
        used = {rule["Priority"] for rule in rules}
        priority = next(number for number in range(1, 50_001) if str(number) not in used)
        weights = zip(express.target_groups, (100, 0), strict=True)
        groups = [{"TargetGroupArn": group.arn, "Weight": weight} for group, weight in weights]
        made = self._call(
            "elbv2",
            "CreateRule",
            cause,
            ListenerArn=listener,
            Priority=priority,
            Conditions=[{"Field": "host-header", "HostHeaderConfig": {"Values": [express.endpoint]}}],
            Actions=[{"Type": "forward", "ForwardConfig": {"TargetGroups": groups}}],
            Tags=_TAGS,
        )["Rules"][0]
        express.rule.arn = made["RuleArn"]

    def make_alarm(self, service: Service, express: Express, cause: Call | None) -> None:
        name = alarm_name(service)
        groups = [str(group.arn) for group in express.target_groups]
        how = self._engine.options.express.alarm
        members = alarm(name, str(express.balancer.load_balancer.arn), groups, how)
        self._call("cloudwatch", "PutMetricAlarm", cause, **members)
        express.alarm.arn = self._arn("cloudwatch", f"alarm:{name}")

    def load_balancers(self, express: Express, definition: TaskDefinition) -> list[dict[str, Any]]:
        """The service's loadBalancers, in the words of CreateService."""
        first, second = express.target_groups
        main = main_container(definition)
        return [
            {
                "targetGroupArn": first.arn,
                "containerName": main["name"],
                "containerPort": main["portMappings"][0]["containerPort"],
                "advancedConfiguration": {
                    "alternateTargetGroupArn": second.arn,
                    "productionListenerRule": express.rule.arn,
                    "roleArn": express.infrastructure_role,
                },
            }
        ]

    # --- deleting ----------------------------------------------------------------------------------------------------
    def delete(self, managed: Managed, cause: Call | None) -> None:
        """Delete a resource for good; one that is only recorded is no more."""
        arn = str(managed.arn)
        if ":listener-rule/" in arn:
            self._call("elbv2", "DeleteRule", cause, RuleArn=arn)
        elif ":targetgroup/" in arn:
            self._call("elbv2", "DeleteTargetGroup", cause, TargetGroupArn=arn)
        elif ":loadbalancer/" in arn:
            self._call("elbv2", "DeleteLoadBalancer", cause, LoadBalancerArn=arn)
        elif ":alarm:" in arn:
            self._call("cloudwatch", "DeleteAlarms", cause, AlarmNames=[arn.partition(":alarm:")[2]])


def alarm_name(service: Service) -> str:
    return f"{service.cluster.name}/{service.name}/RollbackAlarm"


def _policy_name(service: Service, express: Express) -> str:
    words = {"AVERAGE_CPU": "AverageCPU", "AVERAGE_MEMORY": "AverageMemory"}
    return service.name + words.get(express.settings.scaling.metric, "RequestCountPerTarget")
