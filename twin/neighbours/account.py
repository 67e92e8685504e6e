"""The neighbours of ECS that an account has beside EC2, load balancers and CloudWatch, joined to these."""

from __future__ import annotations

from twin.kernel.alarms import Alarms
from twin.kernel.cloudwatch import CloudWatch
from twin.kernel.gateway import Gateway
from twin.kernel.kernel import Kernel
from twin.neighbours.acm import Acm, AcmOptions
from twin.neighbours.ec2 import Ec2
from twin.neighbours.elbv2 import Elbv2
from twin.neighbours.event_scheduler import EventScheduler
from twin.neighbours.logs import Logs
from twin.neighbours.rates import Rates
from twin.neighbours.roles_and_images import Ecr, IamApi
from twin.neighbours.route53 import Route53
from twin.neighbours.scaling import ApplicationAutoScaling
from twin.neighbours.wafv2 import WafV2


class Account:
    """Builds them, registers them with the gateway, and tells IAM whose tags are whose.

    Attributes:
        acm: certificates; listeners take no other from now on.
        logs: log groups.
        scaling: scalable targets and policies of ECS services.
        wafv2: web ACLs of load balancers.
        route53: hosted zones and record sets.
        iam, ecr, scheduler: roles, repositories and schedules, to look at.
    """

    def __init__(
        self,
        kernel: Kernel,
        gateway: Gateway,
        *,
        ec2: Ec2,
        elbv2: Elbv2,
        alarms: Alarms,
        cloudwatch: CloudWatch,
        acm: AcmOptions | None = None,
    ) -> None:
        self.acm = Acm(kernel, acm)
        self.logs = Logs(kernel)
        self.scaling = ApplicationAutoScaling(kernel, gateway, alarms)
        elbv2.certificates = self.acm
        self.acm.users.append(elbv2.users_of_certificate)
        self.wafv2 = WafV2(kernel, lambda arn: arn in elbv2.load_balancers)
        self.route53 = Route53(kernel)
        self.iam = IamApi(kernel, gateway.iam)
        self.ecr = Ecr(kernel)
        self.scheduler = EventScheduler(kernel)
        gateway.iam.names.target_of_resource = self.scaling.arn_of
        gateway.throttles.append(Rates(kernel.clock).check)
        for api in (self.acm, self.logs, self.scaling, self.wafv2, self.route53, self.iam, self.ecr, self.scheduler):
            gateway.register(api)
        gateway.iam.names.tag_sources |= {
            "acm": self.acm.tags_of,
            "application-autoscaling": self.scaling.tags_of,
            "cloudwatch": cloudwatch.tags_of,
            "ec2": ec2.tags_of,
            "elasticloadbalancing": elbv2.tags_of,
            "logs": self.logs.tags_of,
        }
