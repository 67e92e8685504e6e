"""Delete guards agree with what the describe operations show, whatever was made and unmade before."""

from __future__ import annotations

from random import Random
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.neighbours.account_stage import NOT_FOUND, Stage
from twin.errors import AwsError
from twin.kernel.api import WORLD

QUIET = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


class Yard:
    """Things that refer to each other, made and unmade at random."""

    def __init__(self, seed: int) -> None:
        self.rng = Random(seed)
        self.stage = Stage().settle()
        self.stage.ec2.add_subnet("subnet-z", "us-east-1a", "vpc-0000000000000000b")
        self.vpcs = [self.stage.ec2.subnets[name].vpc_id for name in ("subnet-a", "subnet-z")]
        self.stage.ec2.peer(*self.vpcs)
        self.stage.gateway.validate_responses = False

    def call(self, service: str, operation: str, **params: Any) -> dict[str, Any]:
        return self.stage.call(service, operation, WORLD, **params)

    def tried(self, service: str, operation: str, **params: Any) -> str | None:
        """The error code of a call, None if it succeeds."""
        try:
            self.call(service, operation, **params)
        except AwsError as error:
            return error.code
        return None

    # --- security groups ---------------------------------------------------------------------------------------------
    def groups(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.call("ec2", "DescribeSecurityGroups")["SecurityGroups"]
        return found

    def step(self, number: int) -> None:
        groups = [one["GroupId"] for one in self.groups()]
        some = self.rng.choice(groups)
        way = self.rng.choice(["Ingress", "Egress"])
        action = self.rng.choice(["make", "allow", "allow", "revoke", "join", "leave", "regroup"])
        if action == "make":
            vpc = self.rng.choice(self.vpcs)
            self.call("ec2", "CreateSecurityGroup", GroupName=f"g{number}", Description="random", VpcId=vpc)
        elif action == "allow":
            pair = {"UserIdGroupPairs": [{"GroupId": self.rng.choice(groups)}]}
            permission = {"IpProtocol": "tcp", "FromPort": number, "ToPort": number, **pair}
            self.call("ec2", f"AuthorizeSecurityGroup{way}", GroupId=some, IpPermissions=[permission])
        elif action == "revoke":
            rules = [one for one in self.stage.ec2.security_groups.rules.values() if one.referenced]
            if rules:
                rule = self.rng.choice(rules)
                way = "Egress" if rule.egress else "Ingress"
                ids = [rule.rule_id]
                self.call("ec2", f"RevokeSecurityGroup{way}", GroupId=rule.group_id, SecurityGroupRuleIds=ids)
        else:
            self.interfaces(action, some)

    def interfaces(self, action: str, group: str) -> None:
        store = self.stage.ec2.interfaces.interfaces
        subnet = "subnet-a" if self.stage.ec2.security_group(group).vpc_id == self.vpcs[0] else "subnet-z"
        mine = [one for one in store.values() if one.subnet.subnet_id == subnet]
        if action == "join" or not mine:
            self.stage.ec2.add_interface(subnet, [group])
        elif action == "leave":
            self.stage.ec2.remove_interface(self.rng.choice(mine).interface_id)
        else:
            self.stage.ec2.interfaces.set_groups(self.rng.choice(mine), [group])

    def held(self, group: dict[str, Any]) -> bool:
        """From what EC2 shows: an interface has the group, or another group of its VPC names it."""
        interfaces = self.call("ec2", "DescribeNetworkInterfaces")["NetworkInterfaces"]
        if any(group["GroupId"] in [one["GroupId"] for one in each["Groups"]] for each in interfaces):
            return True
        return any(
            pair["GroupId"] == group["GroupId"]
            for other in self.groups()
            if other["GroupId"] != group["GroupId"] and other["VpcId"] == group["VpcId"]
            for permission in (*other["IpPermissions"], *other["IpPermissionsEgress"])
            for pair in permission["UserIdGroupPairs"]
        )


@given(st.integers(0, 10**6))
@QUIET
def test_a_security_group_goes_exactly_when_nothing_shown_holds_it(seed: int) -> None:
    yard = Yard(seed)
    for number in range(1, 40):
        yard.step(number)
        group = yard.rng.choice(yard.groups())
        if group["GroupName"] == "default":
            continue
        expected = "DependencyViolation" if yard.held(group) else None
        assert yard.tried("ec2", "DeleteSecurityGroup", GroupId=group["GroupId"]) == expected


@given(st.integers(0, 10**6))
@QUIET
def test_a_certificate_goes_exactly_when_no_listener_shows_it(seed: int) -> None:
    yard = Yard(seed)
    stage, rng = yard.stage, yard.rng
    certificates = [stage.certificate(f"s{number}.example.com") for number in range(5)]
    stage.run(10)
    listeners = [stage.listener(stage.balancer(f"b{number}"), rng.choice(certificates)) for number in range(3)]
    for _ in range(30):
        listener, given_ = rng.choice(listeners), [{"CertificateArn": rng.choice(certificates)}]
        operation = rng.choice(["AddListenerCertificates", "RemoveListenerCertificates", "ModifyListener"])
        if listener in stage.elbv2.listeners:
            yard.tried("elbv2", operation, ListenerArn=listener, Certificates=given_)
        if rng.random() < 0.05:
            yard.tried("elbv2", "DeleteListener", ListenerArn=listener)
        shown = {arn for one in stage.elbv2.listeners for arn, _ in stage.certificates(one)}
        stage.run(5)  # listeners are described 10 times a second
        doubtful = rng.choice([*stage.account.acm.certificates])
        told = yard.call("acm", "DescribeCertificate", CertificateArn=doubtful)["Certificate"]["InUseBy"]
        assert bool(told) == (doubtful in shown)
        if rng.random() < 0.2 and len(stage.account.acm.certificates) > 2:
            expected = "ResourceInUseException" if doubtful in shown else None
            assert yard.tried("acm", "DeleteCertificate", CertificateArn=doubtful) == expected


@given(st.integers(0, 10**6))
@QUIET
def test_a_target_group_goes_exactly_when_no_rule_shows_it(seed: int) -> None:
    yard = Yard(seed)
    stage, rng = yard.stage, yard.rng
    balancer = stage.balancer()
    made = yard.call(
        "elbv2", "CreateListener", LoadBalancerArn=balancer, Protocol="HTTP", Port=80, DefaultActions=[NOT_FOUND]
    )
    listener = made["Listeners"][0]["ListenerArn"]
    for number in range(1, 40):
        settings_ = {"Protocol": "HTTP", "Port": 80, "VpcId": yard.vpcs[0], "TargetType": "ip"}
        groups = list(stage.elbv2.target_groups)
        action = rng.choice(["group", "rule", "rule", "unrule", "delete"])
        if action == "group" or not groups:
            yard.call("elbv2", "CreateTargetGroup", Name=f"g{number}", **settings_)
        elif action == "rule":
            pair = rng.sample(groups, min(2, len(groups)))
            weights = [{"TargetGroupArn": arn, "Weight": 100 * (not index)} for index, arn in enumerate(pair)]
            forward = {"Type": "forward", "ForwardConfig": {"TargetGroups": weights}}
            host = {"Field": "host-header", "HostHeaderConfig": {"Values": [f"h{number}.example.com"]}}
            where = {"ListenerArn": listener, "Conditions": [host], "Actions": [forward]}
            yard.call("elbv2", "CreateRule", Priority=number, **where)
        elif action == "unrule":
            own = [one.arn for one in stage.elbv2.rules.values() if not one.is_default]
            if own:
                yard.call("elbv2", "DeleteRule", RuleArn=rng.choice(own))
        else:
            rules = yard.call("elbv2", "DescribeRules", ListenerArn=listener)["Rules"]
            shown = {
                one["TargetGroupArn"]
                for rule in rules
                for each in rule["Actions"]
                for one in each.get("ForwardConfig", {}).get("TargetGroups", [])
            }
            doubtful = rng.choice(groups)
            (told,) = yard.call("elbv2", "DescribeTargetGroups", TargetGroupArns=[doubtful])["TargetGroups"]
            assert bool(told["LoadBalancerArns"]) == (doubtful in shown)
            expected = "ResourceInUse" if doubtful in shown else None
            assert yard.tried("elbv2", "DeleteTargetGroup", TargetGroupArn=doubtful) == expected
