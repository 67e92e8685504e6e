"""What API calls of EC2, Auto Scaling, Elastic Load Balancing and what belongs to load balancers must be allowed.

Source: Service Authorization Reference, pages of Amazon EC2, EC2 Auto Scaling, Elastic Load Balancing V2, AWS
Certificate Manager, AWS WAF, Amazon Route 53.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from twin.errors import Unmodelled
from twin.kernel.asks import Ask, Derive, Names, Params, arn_in, arns_in, unscoped


def _ec2_instances(params: Params, names: Names) -> Iterable[Ask]:
    return [Ask(names.arn("ec2", f"instance/{instance}")) for instance in params["InstanceIds"]]


def _security_group(params: Params, names: Names) -> Iterable[Ask]:
    """The group that is changed, whichever groups its rules name, and rules that are named by their ids."""
    yield Ask(names.arn("ec2", f"security-group/{params['GroupId']}"))
    for rule in params.get("SecurityGroupRuleIds") or ():
        yield Ask(names.arn("ec2", f"security-group-rule/{rule}"))


def _create_security_group(params: Params, names: Names) -> Iterable[Ask]:
    """A group that is tagged as it is made needs CreateTags on it too; its id is not known yet."""
    yield Ask(names.arn("ec2", "security-group/*"))
    yield Ask(names.arn("ec2", f"vpc/{params.get('VpcId', '*')}"))
    if params.get("TagSpecifications"):
        yield Ask(
            names.arn("ec2", "security-group/*"),
            action="ec2:CreateTags",
            keys={"ec2:createaction": ("CreateSecurityGroup",)},
        )


_EC2_KINDS = {
    "i": "instance",
    "sg": "security-group",
    "sgr": "security-group-rule",
    "eni": "network-interface",
    "lt": "launch-template",
}


def _ec2_tags(params: Params, names: Names) -> Iterable[Ask]:
    for resource in params["Resources"]:
        kind = _EC2_KINDS.get(resource.partition("-")[0])
        if kind is None:
            raise Unmodelled(f"authorization of ec2 tags of {resource!r}")
        yield Ask(names.arn("ec2", f"{kind}/{resource}"), absent=frozenset({"ec2:createaction"}))


def _group(params: Params, names: Names) -> Iterable[Ask]:
    name = params.get("AutoScalingGroupName") or names.group_of_instance(params.get("InstanceId", ""))
    # The group's id in its ARN is not in the request; policies that name it are not matched.
    yield Ask(names.arn("autoscaling", f"autoScalingGroup:*:autoScalingGroupName/{name or '*'}"))


def _launch_instances(params: Params, names: Names) -> Iterable[Ask]:
    yield from _group(params, names)
    # EC2 Auto Scaling user guide, "Launching instances with synchronous provisioning", prerequisites.
    yield Ask("*", action="ec2:CreateFleet")
    yield Ask("*", action="ec2:DescribeLaunchTemplateVersions")


def _create_rule(params: Params, _names: Names) -> Iterable[Ask]:
    """A rule that is tagged as it is made needs AddTags on the rule, whose id is not known yet."""
    yield Ask(params["ListenerArn"])
    if params.get("Tags"):
        yield Ask(
            params["ListenerArn"].replace(":listener/", ":listener-rule/") + "/*", action="elasticloadbalancing:AddTags"
        )


def _rule_priorities(params: Params, _names: Names) -> Iterable[Ask]:
    return [Ask(one["RuleArn"]) for one in params["RulePriorities"]]


def _hosted_zone(params: Params, _names: Names) -> Iterable[Ask]:
    return [Ask(f"arn:aws:route53:::hostedzone/{str(params['HostedZoneId']).rpartition('/')[2]}")]


TABLE: Mapping[str, Mapping[str, Derive]] = {
    "ec2": {
        "TerminateInstances": _ec2_instances,
        "StopInstances": _ec2_instances,
        **dict.fromkeys(
            [
                "AuthorizeSecurityGroupEgress",
                "AuthorizeSecurityGroupIngress",
                "DeleteSecurityGroup",
                "RevokeSecurityGroupEgress",
                "RevokeSecurityGroupIngress",
            ],
            _security_group,
        ),
        "CreateSecurityGroup": _create_security_group,
        "CreateTags": _ec2_tags,
        "DeleteTags": _ec2_tags,
    },
    "autoscaling": {
        **dict.fromkeys(
            [
                "CompleteLifecycleAction",
                "ResumeProcesses",
                "SetDesiredCapacity",
                "SetInstanceProtection",
                "SuspendProcesses",
                "TerminateInstanceInAutoScalingGroup",
            ],
            _group,
        ),
        "LaunchInstances": _launch_instances,
    },
    "elbv2": {
        **dict.fromkeys(
            [
                "DeleteTargetGroup",
                "DeregisterTargets",
                "ModifyTargetGroup",
                "ModifyTargetGroupAttributes",
                "RegisterTargets",
            ],
            arn_in("TargetGroupArn"),
        ),
        **dict.fromkeys(["DeleteRule", "ModifyRule"], arn_in("RuleArn")),
        **dict.fromkeys(
            ["AddListenerCertificates", "DeleteListener", "ModifyListener", "RemoveListenerCertificates"],
            arn_in("ListenerArn"),
        ),
        **dict.fromkeys(
            ["DeleteLoadBalancer", "ModifyLoadBalancerAttributes", "SetSecurityGroups"], arn_in("LoadBalancerArn")
        ),
        **dict.fromkeys(["AddTags", "RemoveTags"], arns_in("ResourceArns")),
        "CreateRule": _create_rule,
        "SetRulePriorities": _rule_priorities,
    },
    "acm": {
        "ListCertificates": unscoped,
        "RequestCertificate": unscoped,
        **dict.fromkeys(
            [
                "AddTagsToCertificate",
                "DeleteCertificate",
                "DescribeCertificate",
                "ListTagsForCertificate",
                "RemoveTagsFromCertificate",
            ],
            arn_in("CertificateArn"),
        ),
    },
    "wafv2": {
        "GetWebACLForResource": arn_in("ResourceArn"),
    },
    "route53": {
        "ListHostedZones": unscoped,
        "ListResourceRecordSets": _hosted_zone,
        "ChangeResourceRecordSets": _hosted_zone,
    },
}
