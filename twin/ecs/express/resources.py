"""The resources of Express services: real ones of the twin's neighbours, made and deleted through their APIs.

Sources: ECS API: ECSManagedResources and what it holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from twin.ecs.express.calls import Calls, Job
from twin.ecs.express.groups import Groups
from twin.ecs.express.model import TAGS, Express, Ingress, Managed, group_id
from twin.ecs.express.options import Kind
from twin.ecs.express.paths import Paths
from twin.ecs.express.scaling import Scalings
from twin.errors import AwsError

if TYPE_CHECKING:
    from twin.ecs.engine import Engine

Item = tuple[Kind, Managed]
GONE = (
    "InvalidGroup.NotFound",
    "ListenerNotFound",
    "LoadBalancerNotFound",
    "ObjectNotFoundException",
    "ResourceNotFoundException",
    "RuleNotFound",
    "TargetGroupNotFound",
)
"""Errors by which APIs say that there is no such thing."""


class Resources:
    """
    Attributes:
        calls: how they are made and deleted.
        paths, groups, scalings: those of load balancers, of EC2, of CloudWatch and Application Auto Scaling.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.calls = Calls(engine)
        self.paths = Paths(engine, self.calls)
        self.groups = Groups(engine, self.calls)
        self.scalings = Scalings(engine, self.calls)

    def make_log_group(self, job: Job) -> None:
        managed = job.express.log_group
        name = managed.facts["logGroupName"]
        self.calls("logs", "CreateLogGroup", job, logGroupName=name, tags=dict(TAGS))
        managed.arn = self.calls.arn("logs", f"log-group:{name}")

    # --- deleting ----------------------------------------------------------------------------------------------------
    def named(self, express: Express) -> Iterator[Item]:
        """What ECS finds by the service's name: alarm, policy and scalable target."""
        yield "alarm", express.alarm
        yield "scaling", express.policy
        yield "scaling", express.scalable_target

    def of_ingress(self, ingress: Ingress) -> Iterator[Item]:
        """What a service has on one load balancer and in its VPC."""
        yield "rule", ingress.rule
        for group in ingress.target_groups:
            yield "target_groups", group
        yield "security_group", ingress.security_group

    def delete(self, kind: Kind, managed: Managed, job: Job) -> None:
        """Raises AwsError as the API that it calls does."""
        act: Callable[[Managed, Job], None] = self.paths.delete
        if kind in ("security_group", "load_balancer_security_group"):
            act = self.groups.delete
        elif kind == "alarm":
            act = self.scalings.delete_alarm
        elif kind == "scaling":
            act = self.scalings.delete_policy if managed is job.express.policy else self.scalings.deregister
        act(managed, job)

    def exists(self, kind: Kind, managed: Managed, job: Job) -> bool:
        """Whether a resource is still there, which others may have deleted."""
        arn = str(managed.arn)
        asked: dict[Kind, tuple[str, str, dict[str, Any]]] = {
            "rule": ("elbv2", "DescribeRules", {"RuleArns": [arn]}),
            "target_groups": ("elbv2", "DescribeTargetGroups", {"TargetGroupArns": [arn]}),
            "load_balancer": ("elbv2", "DescribeLoadBalancers", {"LoadBalancerArns": [arn]}),
            "certificate": ("acm", "DescribeCertificate", {"CertificateArn": arn}),
            "alarm": ("cloudwatch", "DescribeAlarms", {"AlarmNames": [arn.partition(":alarm:")[2]]}),
            "scaling": ("application-autoscaling", "ListTagsForResource", {"ResourceARN": arn}),
            "security_group": ("ec2", "DescribeSecurityGroups", {"GroupIds": [group_id(managed)]}),
            "load_balancer_security_group": ("ec2", "DescribeSecurityGroups", {"GroupIds": [group_id(managed)]}),
        }
        api, operation, params = asked[kind]
        try:
            answer = self.calls(api, operation, job, **params)
        except AwsError as error:
            if error.code in GONE:
                return False
            raise
        return kind != "alarm" or bool(answer["MetricAlarms"])
