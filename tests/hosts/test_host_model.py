"""The model is built from what AWS answers, and goes to JSON and back."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime

import pytest
from caretaker.hosts.model import (
    Definition,
    Group,
    Host,
    InstanceType,
    Plan,
    Policy,
    Service,
    ServicePolicy,
    Survey,
    Target,
    Task,
    Unknown,
)
from caretaker.hosts.plain import from_plain, to_plain
from caretaker.hosts.plan import make_plan
from caretaker.placement.model import Constraint, Strategy

from tests.hosts.fleet import ARN, NOW, Fleet, group_data, host_data, service_data, task_data


def test_a_host_from_describe_container_instances() -> None:
    host = Host.from_ecs(host_data("i-1", "eu-west-1a", used=(256, 512), ports=[80], capacityProviderName="od"))
    assert (host.instance_id, host.zone, host.instance_type, host.provider) == ("i-1", "eu-west-1a", "m5.large", "od")
    assert (host.remaining.cpu, host.remaining.memory) == (2048 - 256, 7680 - 512)
    assert host.remaining.tcp_ports == (22, 80, 2376)
    assert host.attributes["com.amazonaws.ecs.capability.docker-remote-api.1.18"] == ""


def test_a_task_with_its_protection() -> None:
    until = datetime(2026, 3, 1, 13, tzinfo=UTC)
    data = task_data(
        "t1",
        "i-1",
        "service:web",
        "web",
        attachments=[{"type": "ElasticNetworkInterface", "status": "ATTACHED"}],
    )
    task = Task.from_ecs(data, {"protectionEnabled": True, "expirationDate": until})
    assert (task.protected, task.protected_until, task.eni) == (True, until, True)
    assert task.service == "web"
    assert Task.from_ecs(data, protection_known=False).protected is None
    assert Task.from_ecs(task_data("t2", "i-1", "family:job", "job")).service == ""


def test_a_task_that_is_told_to_stop_is_stopping_while_it_still_runs() -> None:
    task = Task.from_ecs(task_data("t1", "i-1", "service:web", "web", desiredStatus="STOPPED"))
    assert task.stopping
    assert not task.stopped


def test_a_service_has_ecs_defaults_where_nothing_is_set() -> None:
    bare = {"serviceArn": f"{ARN}:service/prod/web", "desiredCount": 1}
    assert Service.from_ecs(bare).percents == (100, 200)
    assert Service.from_ecs({**bare, "schedulingStrategy": "DAEMON"}).percents == (0, 100)
    external = {
        **bare,
        "deploymentController": {"type": "EXTERNAL"},
        "deploymentConfiguration": {"maximumPercent": 100},
    }
    assert Service.from_ecs(external).percents == (100, 200)
    zero = {**bare, "deploymentConfiguration": {"minimumHealthyPercent": 0, "maximumPercent": 100}}
    assert Service.from_ecs(zero).percents == (0, 100)


def test_a_deployment_is_in_progress_by_its_state_or_its_company() -> None:
    steady = service_data("web")
    assert Service.from_ecs(steady).in_progress is None
    rolling = {**steady, "deployments": [{**steady["deployments"][0], "rolloutState": "IN_PROGRESS"}]}
    assert Service.from_ecs(rolling).in_progress is not None
    two = {**steady, "deployments": [{"id": "new", "status": "PRIMARY"}, {"id": "old", "status": "ACTIVE"}]}
    assert Service.from_ecs(two).in_progress is not None


def test_a_service_keeps_its_constraints_subnets_and_target_groups() -> None:
    data = service_data(
        "web",
        placementConstraints=[{"type": "distinctInstance"}, {"type": "memberOf", "expression": "attribute:x exists"}],
        placementStrategy=[{"type": "spread", "field": "instanceId"}],
        networkConfiguration={"awsvpcConfiguration": {"subnets": ["subnet-b", "subnet-a"]}},
        loadBalancers=[{"targetGroupArn": "tg-1", "containerName": "main", "containerPort": 80}],
        capacityProviderStrategy=[{"capacityProvider": "od", "weight": 1}],
        availabilityZoneRebalancing="ENABLED",
    )
    service = Service.from_ecs(data, healthy=2)
    assert service.constraints == (Constraint("distinctInstance"), Constraint("memberOf", "attribute:x exists"))
    assert service.strategies == (Strategy("spread", "instanceId"),)
    assert service.subnets == ("subnet-a", "subnet-b")
    assert service.balancers[0].target_group == "tg-1"
    assert (service.providers, service.zone_rebalancing, service.healthy) == (("od",), True, 2)


def test_a_task_definition_with_ports_gpus_and_volumes() -> None:
    definition = Definition.from_ecs(
        {
            "taskDefinitionArn": f"{ARN}:task-definition/web:1",
            "cpu": "512",
            "containerDefinitions": [
                {
                    "name": "main",
                    "memoryReservation": 128,
                    "portMappings": [{"containerPort": 53, "hostPort": 53, "protocol": "udp"}],
                    "resourceRequirements": [{"type": "GPU", "value": "2"}],
                    "healthCheck": {"command": ["CMD", "true"]},
                    "stopTimeout": 120,
                }
            ],
            "volumes": [
                {"name": "a", "host": {"sourcePath": "/data"}},
                {"name": "b", "host": {}},
                {"name": "c", "dockerVolumeConfiguration": {"driver": "rexray/ebs", "scope": "shared"}},
                {"name": "d", "configuredAtLaunch": True},
                {"name": "e", "efsVolumeConfiguration": {"fileSystemId": "fs-1"}},
            ],
            "requiresAttributes": [{"name": "ecs.capability.task-eni"}],
        }
    )
    assert (definition.cpu, definition.memory, definition.network_mode) == (512, None, "bridge")
    assert (definition.health_checked, definition.stop_timeout) == (True, 120)
    assert definition.containers[0].gpus == 2
    assert [volume.kind for volume in definition.volumes] == ["host", "scratch", "docker", "ebs", "efs"]
    assert definition.requires == (("ecs.capability.task-eni", ""),)


@pytest.mark.parametrize(
    ("more", "launch"),
    [
        ({}, "template"),
        ({"LaunchTemplate": None, "LaunchConfigurationName": "old"}, "configuration"),
        ({"MixedInstancesPolicy": {"LaunchTemplate": {"Overrides": [{"InstanceType": "m5.large"}]}}}, "mixed"),
    ],
)
def test_a_group_says_what_it_launches_with(more: dict[str, object], launch: str) -> None:
    group = Group.from_autoscaling(group_data("g", {"i-1": "a"}, **more))
    assert group.launch == launch
    assert group.instance_types == ("m5.large",)


def test_a_group_knows_its_capacity_provider_and_what_is_suspended() -> None:
    provider = {
        "name": "od",
        "autoScalingGroupProvider": {
            "managedScaling": {"status": "ENABLED"},
            "managedTerminationProtection": "ENABLED",
        },
    }
    data = group_data("g", {"i-1": "a"}, SuspendedProcesses=[{"ProcessName": "Launch"}], Status="Delete in progress")
    group = Group.from_autoscaling(data, provider, "c5.large")
    assert (group.provider, group.managed_termination_protection) == ("od", True)
    assert (group.suspended, group.deleting, group.instance_types) == (("Launch",), True, ("c5.large",))


def test_instance_types_and_targets() -> None:
    kind = InstanceType.from_ec2(
        {
            "InstanceType": "g4dn.xlarge",
            "VCpuInfo": {"DefaultVCpus": 4},
            "MemoryInfo": {"SizeInMiB": 16384},
            "NetworkInfo": {"MaximumNetworkInterfaces": 3},
            "GpuInfo": {"Gpus": [{"Count": 1}]},
        }
    )
    assert (kind.vcpus, kind.memory, kind.enis, kind.gpus) == (4, 16384, 3, 1)
    target = Target.from_elbv2("tg", {"Target": {"Id": "i-1", "Port": 8080}, "TargetHealth": {"State": "healthy"}})
    assert (target.id, target.port, target.state) == ("i-1", 8080, "healthy")


def test_survey_and_plan_survive_json() -> None:
    fleet = Fleet({"i-1": "a", "i-2": "b"}).daemon("logs").service("web", ["i-1", "i-2"], percents=(50, 100))
    fleet.protected["web-0"] = {"protectionEnabled": True, "expirationDate": NOW}
    survey = fleet.survey("i-1", deadline=NOW, unknown=(Unknown("group", "g", "denied"),), subnet_zones={"s": "a"})
    assert from_plain(Survey, json.loads(json.dumps(to_plain(survey)))) == survey
    plan = make_plan(survey, Policy(mode="act"), NOW)
    assert from_plain(Plan, json.loads(json.dumps(to_plain(plan)))) == plan


def test_plain_data_with_a_field_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="Policy has no field 'sruge'"):
        from_plain(Policy, {"sruge": True})
    with pytest.raises(ValueError, match="instance_id"):
        from_plain(Host, {"arn": "x"})


def test_policy_of_a_service_overrides_only_what_it_names() -> None:
    policy = Policy(services={"web": ServicePolicy(surge=False), "api": ServicePolicy(standalone="block")})
    assert (policy.may_surge("web"), policy.may_surge("api"), policy.may_surge("other")) == (False, True, True)
    assert (policy.standalone_of("family:api"), policy.standalone_of("family:web")) == ("block", "wait")
    assert from_plain(Policy, to_plain(policy)) == policy


def test_the_core_imports_neither_boto3_nor_pydantic() -> None:
    code = "import sys, caretaker.hosts.plan; print([m for m in ('boto3', 'botocore', 'pydantic') if m in sys.modules])"
    shown = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONPATH": "functions"}
    )
    assert shown.stdout.strip() == "[]"
