"""Stacks that own Express services."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ecs_world import OPERATOR
from express_stage import EXECUTION, INFRASTRUCTURE, Stage

from twin.ecs.express.options import ExpressOptions, RoleFault
from twin.errors import AwsError, Unmodelled
from twin.kernel.stacks import Stacks

EXPRESS = "AWS::ECS::ExpressGatewayService"


def staged(express: ExpressOptions | None = None) -> Stage:
    stage = Stage(express=express)
    stage.gateway.register(Stacks(stage.kernel, None, stage.gateway))
    stage.kernel.settled = True
    return stage


def template(image: str = "example.com/web:1", **properties: Any) -> str:
    given = {
        "Cluster": "shop",
        "ServiceName": "web",
        "ExecutionRoleArn": EXECUTION,
        "InfrastructureRoleArn": INFRASTRUCTURE,
        "PrimaryContainer": {"Image": image, "Environment": [{"Name": "MODE", "Value": "fast"}]},
        "ScalingTarget": {"MinTaskCount": 2},
        **properties,
    }
    return json.dumps({"Resources": {"Web": {"Type": EXPRESS, "Properties": given}}})


def call(stage: Stage, operation: str, **params: Any) -> dict[str, Any]:
    return stage.call(operation, "cloudformation", caller=OPERATOR, **params)


def status(stage: Stage, name: str = "shop") -> str:
    return str(call(stage, "DescribeStacks", StackName=name)["Stacks"][0]["StackStatus"])


def created(express: ExpressOptions | None = None) -> Stage:
    stage = staged(express)
    call(stage, "CreateStack", StackName="shop", TemplateBody=template())
    stage.run(7200)
    return stage


def test_a_stack_makes_a_service_waits_for_it_and_owns_it() -> None:
    stage = staged()
    arn = call(stage, "CreateStack", StackName="shop", TemplateBody=template())["StackId"]
    stage.run(60)
    assert status(stage) == "CREATE_IN_PROGRESS"
    stage.run(7200)
    assert status(stage) == "CREATE_COMPLETE"
    service = stage.service()
    assert service.healthy == 2
    assert service.tags["aws:cloudformation:stack-id"] == arn
    [owned] = call(stage, "DescribeStackResources", PhysicalResourceId=service.arn)["StackResources"]
    assert (owned["StackName"], owned["LogicalResourceId"], owned["ResourceType"]) == ("shop", "Web", EXPRESS)
    [configuration] = stage.described()["activeConfigurations"]
    assert configuration["primaryContainer"]["environment"] == [{"name": "MODE", "value": "fast"}]
    with pytest.raises(AwsError, match="Stack for other does not exist"):
        call(stage, "DescribeStackResources", PhysicalResourceId="other")
    assert [event["userIdentity"]["invokedBy"] for event in stage.trail()] == ["cloudformation.amazonaws.com"]


def test_its_update_is_a_release() -> None:
    stage = created()
    call(stage, "UpdateStack", StackName="shop", TemplateBody=template("example.com/web:2"))
    stage.run(7200)
    assert status(stage) == "UPDATE_COMPLETE"
    assert stage.described()["activeConfigurations"][0]["primaryContainer"]["image"] == "example.com/web:2"
    with pytest.raises(AwsError, match="No updates"):
        call(stage, "UpdateStack", StackName="shop", TemplateBody=template("example.com/web:2"))
    with pytest.raises(Unmodelled, match="replaces the resource"):
        call(stage, "UpdateStack", StackName="shop", TemplateBody=template(ServiceName="api"))


def test_its_deletion_deletes_the_service() -> None:
    stage = created()
    arn = stage.service().arn
    call(stage, "DeleteStack", StackName="shop")
    stage.run(7200)
    assert stage.service().status == "INACTIVE"
    assert not stage.elbv2.load_balancers
    with pytest.raises(AwsError, match="does not exist"):
        status(stage)
    with pytest.raises(AwsError, match="does not exist"):
        call(stage, "DescribeStackResources", PhysicalResourceId=arn)
    call(stage, "CreateStack", StackName="shop", TemplateBody=template())
    stage.run(7200)
    assert (status(stage), stage.service().healthy) == ("CREATE_COMPLETE", 2)


def test_a_service_that_does_not_go_within_half_an_hour_fails_the_deletion() -> None:
    stage = created(ExpressOptions(role_faults=(RoleFault("elasticloadbalancing:Delete*"),)))
    call(stage, "DeleteStack", StackName="shop")
    stage.run(7200)
    assert (status(stage), stage.service().status) == ("DELETE_FAILED", "DRAINING")


def test_a_creation_that_is_refused_is_rolled_back() -> None:
    stage = staged()
    stage.create("web")
    call(stage, "CreateStack", StackName="shop", TemplateBody=template())
    stage.run(7200)
    assert status(stage) == "ROLLBACK_COMPLETE"
    [owned] = call(stage, "DescribeStackResources", StackName="shop")["StackResources"]
    assert "not idempotent" in owned["ResourceStatusReason"]
    assert stage.service().status == "ACTIVE"


def test_what_is_not_modelled_fails_loudly() -> None:
    stage = staged()
    bucket = json.dumps({"Resources": {"Web": {"Type": "AWS::S3::Bucket"}}})
    with pytest.raises(Unmodelled, match="AWS::S3::Bucket"):
        call(stage, "CreateStack", StackName="shop", TemplateBody=bucket)
    with pytest.raises(Unmodelled, match="functions"):
        call(stage, "CreateStack", StackName="shop", TemplateBody=template(Cpu={"Ref": "Cpu"}))
