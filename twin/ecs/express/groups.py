"""The security groups of Express services: one for each service and VPC, and one for each load balancer.

Each refers to the other: the load balancer's lets requests out to the service's, which lets them in.
Sources: Amazon ECS Developer Guide, "Resources created by Amazon ECS Express Mode services"; EC2 API:
CreateSecurityGroup, AuthorizeSecurityGroupIngress, AuthorizeSecurityGroupEgress, RevokeSecurityGroupEgress. Names,
descriptions and the placeholder rule: published answers of AWS.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twin.ecs.express.calls import Calls, Job
from twin.ecs.express.model import TAG_LIST, Ingress, Managed, SharedBalancer, group_id
from twin.errors import AwsError

if TYPE_CHECKING:
    from twin.ecs.engine import Engine

_SPECIFICATION = [{"ResourceType": "security-group", "Tags": TAG_LIST}]
_WORLD = [{"CidrIp": "0.0.0.0/0"}]
_ALL = [{"IpProtocol": "-1", "IpRanges": _WORLD}]
Permissions = list[dict[str, Any]]


class Groups:
    def __init__(self, engine: Engine, calls: Calls) -> None:
        self._engine = engine
        self._calls = calls
        self._last_name = 0

    # --- making ------------------------------------------------------------------------------------------------------
    def make_service_group(self, ingress: Ingress, job: Job) -> None:
        """A service's group; one of its name that was left behind is taken over, or in the way: the world chooses."""
        service, vpc_id = job.service, ingress.balancer.vpc_id
        name = f"{service.cluster.name}-{service.name}-{vpc_id}"[:255]
        description = f"Security group for ECS service: {service.arn}"
        try:
            ingress.security_group.arn = self._create(name, description, vpc_id, job)
        except AwsError as error:
            if error.code != "InvalidGroup.Duplicate" or self._engine.options.express.existing_group == "refused":
                raise
            found = self._found(name, vpc_id, job)
            if found["Description"] != description:
                raise
            ingress.security_group.arn = self._arn(found["GroupId"])

    def make_balancer_group(self, balancer: SharedBalancer, job: Job) -> None:
        """A load balancer's group: the world may come in by 80 and 443, and nothing goes out but to services."""
        now = int(self._engine.kernel.clock.now().timestamp() * 1000)
        self._last_name = max(now, self._last_name + 1)
        name = f"ecs-express-gateway-alb-sg-{self._last_name}"
        balancer.security_group.arn = self._create(name, "Security group for ECS Express Mode", balancer.vpc_id, job)
        group = balancer.group_id
        open_ports: Permissions = [
            {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, "IpRanges": _WORLD} for port in (80, 443)
        ]
        self._calls("ec2", "AuthorizeSecurityGroupIngress", job, GroupId=group, IpPermissions=open_ports)
        placeholder = [{"GroupId": group, "Description": "Placeholder rule"}]
        itself: Permissions = [{"IpProtocol": "-1", "UserIdGroupPairs": placeholder}]
        self._calls("ec2", "AuthorizeSecurityGroupEgress", job, GroupId=group, IpPermissions=itself)
        self._calls("ec2", "RevokeSecurityGroupEgress", job, GroupId=group, IpPermissions=_ALL)

    def connect(self, ingress: Ingress, port: int, job: Job) -> None:
        """Let requests pass from the load balancer to the service's tasks."""
        balancer, service = ingress.balancer.group_id, group_id(ingress.security_group)
        for operation, group, other in (
            ("AuthorizeSecurityGroupEgress", balancer, service),
            ("AuthorizeSecurityGroupIngress", service, balancer),
        ):
            permissions = [self._permission(other, port)]
            try:
                self._calls("ec2", operation, job, GroupId=group, IpPermissions=permissions)
            except AwsError as error:  # the rules of a group that was taken over
                if error.code != "InvalidPermission.Duplicate":
                    raise

    def _permission(self, other: str, port: int) -> dict[str, Any]:
        return {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, "UserIdGroupPairs": [{"GroupId": other}]}

    def _create(self, name: str, description: str, vpc_id: str, job: Job) -> str:
        made = self._calls(
            "ec2",
            "CreateSecurityGroup",
            job,
            GroupName=name,
            Description=description,
            VpcId=vpc_id,
            TagSpecifications=_SPECIFICATION,
        )
        return self._arn(made["GroupId"])

    def _found(self, name: str, vpc_id: str, job: Job) -> dict[str, Any]:
        filters = [{"Name": "group-name", "Values": [name]}, {"Name": "vpc-id", "Values": [vpc_id]}]
        found: dict[str, Any] = self._calls("ec2", "DescribeSecurityGroups", job, Filters=filters)["SecurityGroups"][0]
        return found

    def _arn(self, identifier: str) -> str:
        return self._calls.arn("ec2", f"security-group/{identifier}")

    # --- deleting ----------------------------------------------------------------------------------------------------
    def disconnect(self, ingress: Ingress, port: int, job: Job) -> None:
        """Revoke the two rules between the load balancer's group and the service's, and none that others made."""
        balancer, service = ingress.balancer.security_group, ingress.security_group
        if balancer.arn is None or service.arn is None:
            return
        self._revoke("RevokeSecurityGroupEgress", "IpPermissionsEgress", balancer, service, port, job)
        self._revoke("RevokeSecurityGroupIngress", "IpPermissions", service, balancer, port, job)

    def _revoke(self, operation: str, member: str, group: Managed, other: Managed, port: int, job: Job) -> None:
        filters = [{"Name": "group-id", "Values": [group_id(group)]}]
        described = self._calls("ec2", "DescribeSecurityGroups", job, Filters=filters)["SecurityGroups"]
        made = self._permission(group_id(other), port)
        there = any(_includes(permission, made) for one in described for permission in one[member])
        if there:
            where = {"GroupId": group_id(group), "IpPermissions": [made]}
            self._calls.on_tagged(str(group.arn), "ec2", operation, job, **where)

    def delete(self, group: Managed, job: Job) -> None:
        self._calls.on_tagged(str(group.arn), "ec2", "DeleteSecurityGroup", job, GroupId=group_id(group))


def _includes(permission: dict[str, Any], made: dict[str, Any]) -> bool:
    """Whether what EC2 shows has what ECS once asked for."""
    same = all(permission.get(name) == made[name] for name in ("IpProtocol", "FromPort", "ToPort"))
    pairs = [pair["GroupId"] for pair in permission.get("UserIdGroupPairs", ())]
    return same and made["UserIdGroupPairs"][0]["GroupId"] in pairs
