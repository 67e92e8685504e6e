"""ACM, listeners' certificates, and load balancers' interfaces and security groups."""

from __future__ import annotations

import pytest

from tests.neighbours.account_stage import NOT_FOUND, Stage, refused
from twin.neighbours.acm import AcmOptions
from twin.neighbours.elbv2 import Elbv2Options


@pytest.fixture
def stage() -> Stage:
    return Stage().settle()


def issued(stage: Stage, *domains: str) -> list[str]:
    arns = [stage.certificate(domain) for domain in domains]
    stage.run(10)
    return arns


def used_by(stage: Stage, certificate: str) -> list[str]:
    shown = stage.call("acm", "DescribeCertificate", CertificateArn=certificate)["Certificate"]
    return list(shown["InUseBy"])


def test_a_certificate_is_issued_after_a_while_and_taken_by_no_listener_before(stage: Stage) -> None:
    balancer, certificate = stage.balancer(), stage.certificate()
    refused("UnsupportedCertificate", lambda: stage.listener(balancer, certificate))
    refused("CertificateNotFound", lambda: stage.listener(balancer, "arn:aws:acm:us-east-1:1:certificate/none"))
    stage.run(10)
    stage.listener(balancer, certificate)
    assert used_by(stage, certificate) == [balancer]


def test_who_uses_a_certificate_is_told_live_and_holds_it(stage: Stage) -> None:
    balancer, (first, second) = stage.balancer(), issued(stage, "a.example.com", "b.example.com")
    listener = stage.listener(balancer, first)
    stage.call("elbv2", "AddListenerCertificates", ListenerArn=listener, Certificates=[{"CertificateArn": second}])
    for certificate in (first, second):
        refused(
            "ResourceInUseException", lambda arn=certificate: stage.call("acm", "DeleteCertificate", CertificateArn=arn)
        )
    stage.call("elbv2", "RemoveListenerCertificates", ListenerArn=listener, Certificates=[{"CertificateArn": second}])
    stage.call("acm", "DeleteCertificate", CertificateArn=second)
    stage.call("elbv2", "DeleteLoadBalancer", LoadBalancerArn=balancer)
    assert used_by(stage, first) == []
    stage.call("acm", "DeleteCertificate", CertificateArn=first)
    refused("ResourceNotFoundException", lambda: stage.call("acm", "DeleteCertificate", CertificateArn=first))


def test_a_certificate_may_count_as_in_use_for_a_while_after_its_listener_let_go() -> None:
    stage = Stage(acm=AcmOptions(in_use_linger=120.0)).settle()
    balancer, (certificate,) = stage.balancer(), issued(stage, "a.example.com")
    stage.listener(balancer, certificate)
    stage.call("elbv2", "DeleteLoadBalancer", LoadBalancerArn=balancer)
    assert used_by(stage, certificate) == [balancer]
    stage.run(121)
    assert used_by(stage, certificate) == []


def test_only_rsa_2048_certificates_are_listed_unless_others_are_asked_for(stage: Stage) -> None:
    usual = stage.certificate("a.example.com")
    other = stage.certificate("b.example.com", KeyAlgorithm="EC_prime256v1")

    def listed(**params: object) -> list[str]:
        found = stage.call("acm", "ListCertificates", **params)["CertificateSummaryList"]
        return [one["CertificateArn"] for one in found]

    assert listed() == [usual]
    assert listed(Includes={"keyTypes": ["RSA_2048", "EC_prime256v1"]}) == [usual, other]


def test_the_default_certificate_is_replaced_but_never_removed(stage: Stage) -> None:
    balancer, (first, second) = stage.balancer(), issued(stage, "a.example.com", "b.example.com")
    listener = stage.listener(balancer, first)
    remove = {"ListenerArn": listener, "Certificates": [{"CertificateArn": first}]}
    refused("OperationNotPermitted", lambda: stage.call("elbv2", "RemoveListenerCertificates", **remove))
    stage.call("elbv2", "ModifyListener", ListenerArn=listener, Certificates=[{"CertificateArn": second}])
    assert stage.certificates(listener) == [(second, True)]
    assert used_by(stage, first) == []


def test_a_default_certificate_that_is_in_the_list_too_is_shown_twice(stage: Stage) -> None:
    balancer, (certificate,) = stage.balancer(), issued(stage, "a.example.com")
    listener = stage.listener(balancer, certificate)
    for _ in range(2):  # adding again is no error and adds nothing
        given = [{"CertificateArn": certificate}]
        stage.call("elbv2", "AddListenerCertificates", ListenerArn=listener, Certificates=given)
    assert stage.certificates(listener) == [(certificate, True), (certificate, False)]


def test_a_load_balancer_has_25_certificates_beside_default_ones(stage: Stage) -> None:
    balancer, certificates = stage.balancer(), issued(stage, *(f"s{number}.example.com" for number in range(27)))
    listener = stage.listener(balancer, certificates[0])

    def add(certificate: str) -> None:
        given = [{"CertificateArn": certificate}]
        stage.call("elbv2", "AddListenerCertificates", ListenerArn=listener, Certificates=given)

    for certificate in certificates[1:26]:
        add(certificate)
    refused("TooManyCertificates", lambda: add(certificates[26]))


def test_one_certificate_a_call_and_none_on_http(stage: Stage) -> None:
    balancer, (first, second) = stage.balancer(), issued(stage, "a.example.com", "b.example.com")
    listener = stage.listener(balancer, first)
    two = [{"CertificateArn": first}, {"CertificateArn": second}]
    add = "AddListenerCertificates"
    refused("ValidationError", lambda: stage.call("elbv2", add, ListenerArn=listener, Certificates=two))
    settings = {"Protocol": "HTTP", "Port": 80, "DefaultActions": [NOT_FOUND]}
    made = stage.call("elbv2", "CreateListener", LoadBalancerArn=balancer, **settings)
    plain = made["Listeners"][0]["ListenerArn"]
    refused("ValidationError", lambda: stage.call("elbv2", add, ListenerArn=plain, Certificates=two[:1]))


# --- interfaces and security groups of load balancers ----------------------------------------------------------------
def interfaces(stage: Stage, group: str) -> list[dict[str, str]]:
    filters = [{"Name": "group-id", "Values": [group]}]
    found: list[dict[str, str]] = stage.call("ec2", "DescribeNetworkInterfaces", Filters=filters)["NetworkInterfaces"]
    return found


def group(stage: Stage, name: str = "alb") -> str:
    vpc = stage.ec2.subnets["subnet-a"].vpc_id
    made = stage.call("ec2", "CreateSecurityGroup", GroupName=name, Description="of a test", VpcId=vpc)
    return str(made["GroupId"])


def test_a_load_balancer_has_an_interface_in_each_subnet_until_minutes_after_it_is_gone() -> None:
    stage = Stage(elbv2=Elbv2Options(interfaces_linger=180.0)).settle()
    mine = group(stage)
    balancer = stage.balancer(SecurityGroups=[mine])
    found = interfaces(stage, mine)
    assert [one["SubnetId"] for one in found] == ["subnet-a", "subnet-b"]
    assert {one["Description"] for one in found} == {f"ELB {balancer.partition(':loadbalancer/')[2]}"}
    assert {one["RequesterId"] for one in found} == {"amazon-elb"}
    stage.call("elbv2", "DeleteLoadBalancer", LoadBalancerArn=balancer)
    refused("DependencyViolation", lambda: stage.call("ec2", "DeleteSecurityGroup", GroupId=mine))
    stage.run(181)
    stage.call("ec2", "DeleteSecurityGroup", GroupId=mine)


def test_a_load_balancers_groups_must_exist_and_can_be_changed(stage: Stage) -> None:
    refused("InvalidSecurityGroup", lambda: stage.balancer(SecurityGroups=["sg-00000000000000000"]))
    first, second = group(stage, "first"), group(stage, "second")
    balancer = stage.balancer(SecurityGroups=[first])
    stage.call("elbv2", "SetSecurityGroups", LoadBalancerArn=balancer, SecurityGroups=[second])
    assert (len(interfaces(stage, first)), len(interfaces(stage, second))) == (0, 2)


def test_a_load_balancer_without_groups_gets_its_vpcs_default_one(stage: Stage) -> None:
    balancer = stage.balancer()
    (shown,) = stage.call("elbv2", "DescribeLoadBalancers", LoadBalancerArns=[balancer])["LoadBalancers"]
    vpc = stage.ec2.subnets["subnet-a"].vpc_id
    assert shown["SecurityGroups"] == [stage.ec2.default_group(vpc).group_id]


def test_a_load_balancer_that_is_a_network_load_balancers_target_is_not_deleted(stage: Stage) -> None:
    front = stage.balancer()
    settings = {"Protocol": "HTTP", "Port": 80, "DefaultActions": [NOT_FOUND]}
    plain = stage.call("elbv2", "CreateListener", LoadBalancerArn=front, **settings)["Listeners"][0]["ListenerArn"]
    vpc = stage.ec2.subnets["subnet-a"].vpc_id

    def target_group(name: str, port: int) -> str:
        made = stage.call(
            "elbv2", "CreateTargetGroup", Name=name, Protocol="TCP", Port=port, VpcId=vpc, TargetType="alb"
        )
        return str(made["TargetGroups"][0]["TargetGroupArn"])

    mine, other = target_group("mine", 80), target_group("other", 81)
    register = "RegisterTargets"
    refused("InvalidTarget", lambda: stage.call("elbv2", register, TargetGroupArn=other, Targets=[{"Id": front}]))
    stage.call("elbv2", register, TargetGroupArn=mine, Targets=[{"Id": front}])
    refused("ResourceInUse", lambda: stage.call("elbv2", "DeleteLoadBalancer", LoadBalancerArn=front))
    refused("ResourceInUse", lambda: stage.call("elbv2", "DeleteListener", ListenerArn=plain))
    stage.call("elbv2", "DeregisterTargets", TargetGroupArn=mine, Targets=[{"Id": front}])
    stage.run(1)
    stage.call("elbv2", "DeleteLoadBalancer", LoadBalancerArn=front)


def test_published_rates_hold_for_people_and_functions(stage: Stage) -> None:
    for _ in range(40):
        stage.call("elbv2", "DescribeLoadBalancers")
    refused("ThrottlingException", lambda: stage.call("elbv2", "DescribeListeners", LoadBalancerArn="arn:x"))
    stage.run(1)
    stage.call("elbv2", "DescribeLoadBalancers")
    for _ in range(50):
        stage.call("ec2", "DescribeSecurityGroups")
    refused("RequestLimitExceeded", lambda: stage.call("ec2", "DescribeSecurityGroups"))
    stage.call("ec2", "DescribeSecurityGroups", MaxResults=1000)
