"""What a gateway makes for the services behind it, as far as it matters to who looks at its load balancer.

Sources: ECS API: CreateGateway ("load balancers … aren't created until a service … begins using the gateway"; the
deletion protection is propagated to them), GatewayRouteAlbResources. Names and tags of what it makes are not
documented: they are those of Express Mode, so that nothing but the gateway's own API tells the two apart. How services
come to use a gateway (AssociateGatewayWithCluster) is not modelled: a world says it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twin.ecs.express.model import TAG_LIST
from twin.ecs.gateways.model import Balancer, Gateway, Route
from twin.ecs.model import Service
from twin.errors import Unmodelled
from twin.kernel.api import AWS_ECS

if TYPE_CHECKING:
    from twin.ecs.engine import Engine

_NOTHING = {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404", "ContentType": "text/plain"}}
_WORLD = [{"CidrIp": "0.0.0.0/0"}]


class Gateways:
    """
    Attributes:
        gateways: by ARN, in order of creation.
        routes: by ARN.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._rng = engine.kernel.rng("ecs/gateways")
        self._made = 0
        self.gateways: dict[str, Gateway] = {}
        self.routes: dict[str, Route] = {}

    def number(self) -> int:
        self._made += 1
        return self._made

    def hex(self, digits: int) -> str:
        return f"{self._rng.getrandbits(4 * digits):0{digits}x}"

    def route(self, gateway: Gateway, service: Service, port_name: str = "main-port") -> Route:
        """Let a service be reached through a gateway, which makes what it needs for it."""
        engine = self._engine
        balancer = gateway.balancers[0] if gateway.balancers else self._balancer(gateway)
        host = f"{service.name[:2].lower()}-{self.hex(32)}.ecs.{engine.kernel.region}.on.aws"
        certificate = self._call("acm", "RequestCertificate", DomainName=host, ValidationMethod="DNS", Tags=TAG_LIST)
        arn = str(certificate["CertificateArn"])
        self._listener(balancer, arn)
        groups = tuple(self._target_group(gateway) for _ in range(2))
        route = Route(
            arn=engine.kernel.arn("ecs", f"gateway-route/{gateway.name}/{self.hex(32)}"),
            number=self.number(),
            gateway=gateway,
            cluster_arn=service.cluster.arn,
            service_arn=service.arn,
            port_name=port_name,
            host=host,
            balancer=balancer,
            certificate=arn,
            rule=self._rule(balancer, host, groups, len(gateway.routes) + 1),
            target_groups=groups,
        )
        gateway.routes.append(route)
        self.routes[route.arn] = route
        return route

    # --- what it makes -----------------------------------------------------------------------------------------------
    def _balancer(self, gateway: Gateway) -> Balancer:
        subnets = self._subnets(gateway)
        vpc_id = self._vpc(subnets)
        group = self._call(
            "ec2",
            "CreateSecurityGroup",
            GroupName=f"ecs-express-gateway-alb-sg-{self.hex(8)}",
            Description="Security group for ECS gateway",
            VpcId=vpc_id,
            TagSpecifications=[{"ResourceType": "security-group", "Tags": TAG_LIST}],
        )["GroupId"]
        permission = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "IpRanges": _WORLD}
        self._call("ec2", "AuthorizeSecurityGroupIngress", GroupId=group, IpPermissions=[permission])
        made = self._call(
            "elbv2",
            "CreateLoadBalancer",
            Name=f"ecs-express-gateway-alb-{self.hex(8)}",
            Type="application",
            Scheme=gateway.scheme,
            Subnets=subnets,
            SecurityGroups=[group],
            Tags=TAG_LIST,
        )["LoadBalancers"][0]
        protection = str(gateway.deletion_protection).lower()
        attributes = [{"Key": "deletion_protection.enabled", "Value": protection}]
        arn = str(made["LoadBalancerArn"])
        self._call("elbv2", "ModifyLoadBalancerAttributes", LoadBalancerArn=arn, Attributes=attributes)
        balancer = Balancer(arn, "", group)
        gateway.balancers.append(balancer)
        return balancer

    def _subnets(self, gateway: Gateway) -> list[str]:
        network = self._engine.network
        if network is None:
            raise Unmodelled("ecs: a gateway in a world whose ECS knows no subnets")
        given = (gateway.configuration.get("networkConfiguration") or {}).get("subnets")
        return list(given or [one.subnet_id for one in network.subnets.values() if one.default])

    def _vpc(self, subnets: list[str]) -> str:
        network = self._engine.network
        assert network is not None
        return network.subnets[subnets[0]].vpc_id

    def _listener(self, balancer: Balancer, certificate: str) -> None:
        """The first route's certificate is the listener's default one."""
        certificates = [{"CertificateArn": certificate}]
        if balancer.listener:
            self._call("elbv2", "AddListenerCertificates", ListenerArn=balancer.listener, Certificates=certificates)
            return
        made = self._call(
            "elbv2",
            "CreateListener",
            LoadBalancerArn=balancer.arn,
            Protocol="HTTPS",
            Port=443,
            Certificates=certificates,
            DefaultActions=[_NOTHING],
            Tags=TAG_LIST,
        )["Listeners"][0]
        balancer.listener = made["ListenerArn"]

    def _target_group(self, gateway: Gateway) -> str:
        made = self._call(
            "elbv2",
            "CreateTargetGroup",
            Name=f"ecs-gateway-tg-{self.hex(17)}",
            Protocol="HTTP",
            Port=80,
            VpcId=self._vpc(self._subnets(gateway)),
            TargetType="ip",
            Tags=TAG_LIST,
        )["TargetGroups"][0]
        return str(made["TargetGroupArn"])

    def _rule(self, balancer: Balancer, host: str, groups: tuple[str, ...], priority: int) -> str:
        weights = [{"TargetGroupArn": group, "Weight": weight} for group, weight in zip(groups, (100, 0), strict=True)]
        made = self._call(
            "elbv2",
            "CreateRule",
            ListenerArn=balancer.listener,
            Priority=priority,
            Conditions=[{"Field": "host-header", "HostHeaderConfig": {"Values": [host]}}],
            Actions=[{"Type": "forward", "ForwardConfig": {"TargetGroups": weights}}],
            Tags=TAG_LIST,
        )["Rules"][0]
        return str(made["RuleArn"])

    def _call(self, api: str, operation: str, **params: Any) -> dict[str, Any]:
        answer: dict[str, Any] = self._engine.gateway.call(api, operation, params, AWS_ECS)
        return answer
