"""Task definitions that are deregistered and deleted, and clusters that are."""

from __future__ import annotations

import pytest
from express_stage import Stage

from twin.errors import AwsError


def registered(stage: Stage, family: str, times: int = 1) -> list[str]:
    container = [{"name": "a", "image": "a", "memory": 64}]
    return [
        stage.call("RegisterTaskDefinition", family=family, containerDefinitions=container)["taskDefinition"][
            "taskDefinitionArn"
        ]
        for _ in range(times)
    ]


def test_task_definitions_are_listed_by_family_and_status_page_by_page() -> None:
    stage = Stage()
    first, second, third = registered(stage, "web", 3)
    [other] = registered(stage, "web-api")
    stage.call("DeregisterTaskDefinition", taskDefinition="web:2")
    assert stage.call("ListTaskDefinitions")["taskDefinitionArns"] == [first, third, other]
    assert stage.call("ListTaskDefinitions", familyPrefix="web", sort="DESC")["taskDefinitionArns"] == [third, first]
    assert stage.call("ListTaskDefinitions", status="INACTIVE")["taskDefinitionArns"] == [second]
    page = stage.call("ListTaskDefinitions", maxResults=2)
    rest = stage.call("ListTaskDefinitions", maxResults=2, nextToken=page["nextToken"])
    assert page["taskDefinitionArns"] + rest["taskDefinitionArns"] == [first, third, other]
    assert stage.call("ListTaskDefinitionFamilies", familyPrefix="web")["families"] == ["web", "web-api"]
    stage.call("DeregisterTaskDefinition", taskDefinition=other)
    assert stage.call("ListTaskDefinitionFamilies", status="ACTIVE")["families"] == ["web"]
    assert stage.call("ListTaskDefinitionFamilies", status="INACTIVE")["families"] == ["web-api"]


def test_only_deregistered_ones_are_deleted_and_those_in_use_stay_until_nothing_uses_them() -> None:
    stage = Stage().up()
    used = stage.described()["activeConfigurations"][0]["taskDefinitionArn"]
    [free] = registered(stage, "free")
    refused = stage.call("DeleteTaskDefinitions", taskDefinitions=[free, "none:1"])
    assert refused["taskDefinitions"] == []
    assert "still in ACTIVE status" in refused["failures"][0]["reason"]
    stage.call("DeregisterTaskDefinition", taskDefinition=used)
    stage.call("DeregisterTaskDefinition", taskDefinition=free)
    deleted = stage.call("DeleteTaskDefinitions", taskDefinitions=[free, used])["taskDefinitions"]
    assert [one["status"] for one in deleted] == ["DELETE_IN_PROGRESS"] * 2
    assert stage.call("ListTaskDefinitions", status="DELETE_IN_PROGRESS")["taskDefinitionArns"] == [used]
    assert stage.service().healthy == 1
    with pytest.raises(AwsError, match="Unable to describe"):
        stage.call("DescribeTaskDefinition", taskDefinition=free)
    stage.delete()
    stage.run(3600)
    assert stage.call("ListTaskDefinitions", status="DELETE_IN_PROGRESS")["taskDefinitionArns"] == []
    assert registered(stage, "free")[0].endswith("free:2")


def test_a_deregistered_one_starts_nothing_new() -> None:
    stage = Stage()
    registered(stage, "web")
    stage.call("DeregisterTaskDefinition", taskDefinition="web:1")
    with pytest.raises(AwsError, match="inactive"):
        stage.call("CreateService", cluster="shop", serviceName="web", taskDefinition="web:1", desiredCount=0)
    with pytest.raises(AwsError, match="must have a revision"):
        stage.call("DeregisterTaskDefinition", taskDefinition="web")


def test_a_cluster_is_deleted_when_it_is_empty() -> None:
    stage = Stage().up()
    with pytest.raises(AwsError) as refused:
        stage.call("DeleteCluster", cluster="shop")
    assert refused.value.code == "ClusterContainsServicesException"
    stage.delete()
    stage.run(30)
    with pytest.raises(AwsError, match="Services are active"):
        stage.call("DeleteCluster", cluster="shop")
    stage.run(3600)
    assert stage.call("DeleteCluster", cluster="shop")["cluster"]["status"] == "INACTIVE"
    with pytest.raises(AwsError, match="Cluster not found"):
        stage.call("ListServices", cluster="shop")
    stage.call("CreateCluster", clusterName="shop")
    assert stage.call("ListServices", cluster="shop")["serviceArns"] == []


def test_services_that_drain_are_not_listed() -> None:
    stage = Stage().up("web", "api")
    stage.delete("web")
    assert stage.call("ListServices", cluster="shop")["serviceArns"] == [stage.service("api").arn]
    assert stage.call("DescribeServices", cluster="shop", services=["web"])["services"][0]["status"] == "DRAINING"
