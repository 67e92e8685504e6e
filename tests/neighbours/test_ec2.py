from __future__ import annotations

import time
from datetime import timedelta

import pytest

from tests.neighbours.stage import MINUTE, START, Stage, template
from twin.errors import AwsError, Unmodelled
from twin.neighbours.ec2 import CapacityFault, Ec2Options, InsufficientCapacityError, Launch


def launched(stage: Stage, count: int = 1, **more: object) -> list[str]:
    wanted = [Launch("m5.large", f"subnet-{index % 3}", user_data="ECS_CLUSTER=main", **more) for index in range(count)]
    return [stage.ec2.launch(one).instance_id for one in wanted]


def states(stage: Stage) -> list[str]:
    return [detail["state"] for detail in stage.bus.of("EC2 Instance State-change Notification")]


def test_an_instance_comes_up_at_once_while_the_world_is_built() -> None:
    stage = Stage()
    (instance,) = launched(stage)
    assert stage.ec2.instances[instance].state == "running"
    assert stage.ecs.booted == [(instance, "main")]
    assert not stage.bus.events


def test_an_instance_takes_its_time_in_a_settled_world() -> None:
    stage = Stage()
    stage.settle()
    (instance,) = launched(stage)
    assert stage.ec2.instances[instance].state == "pending"
    stage.run(20)
    assert stage.ec2.instances[instance].state == "running"
    assert not stage.ecs.booted
    stage.run_until_quiet()
    assert stage.ecs.booted == [(instance, "main")]
    assert states(stage) == ["pending", "running"]


def test_terminate_tells_ecs_the_call_that_did_it_and_is_idempotent() -> None:
    stage = Stage()
    (instance,) = launched(stage)
    stage.settle()
    answer = stage.call("ec2", "TerminateInstances", InstanceIds=[instance])["TerminatingInstances"][0]
    assert (answer["PreviousState"]["Name"], answer["CurrentState"]["Name"]) == ("running", "shutting-down")
    (told, cause) = stage.ecs.terminated[0]
    assert told == instance
    assert cause is not None
    assert cause.operation == "TerminateInstances"
    stage.run_until_quiet()
    again = stage.call("ec2", "TerminateInstances", InstanceIds=[instance])["TerminatingInstances"][0]
    assert again["PreviousState"]["Name"] == again["CurrentState"]["Name"] == "terminated"
    assert len(stage.ecs.terminated) == 1
    assert states(stage) == ["shutting-down", "terminated"]


def test_a_terminated_instance_is_described_for_an_hour() -> None:
    stage = Stage()
    (instance,) = launched(stage)
    stage.settle()
    stage.call("ec2", "TerminateInstances", InstanceIds=[instance])
    stage.run(30 * MINUTE)
    assert stage.call("ec2", "DescribeInstances", InstanceIds=[instance])["Reservations"]
    stage.run(60 * MINUTE)
    with pytest.raises(AwsError, match="does not exist"):
        stage.call("ec2", "DescribeInstances", InstanceIds=[instance])


def test_describe_instances_pages_filters_and_refuses_as_ec2_does() -> None:
    stage = Stage()
    ids = launched(stage, 12)
    seen: list[str] = []
    token = None
    while True:
        more = {"NextToken": token} if token else {}
        answer = stage.call("ec2", "DescribeInstances", MaxResults=5, **more)
        seen += [one["InstanceId"] for each in answer["Reservations"] for one in each["Instances"]]
        token = answer.get("NextToken")
        if token is None:
            break
    assert seen == ids
    zone = [{"Name": "availability-zone", "Values": ["us-east-1[a]", "*1b"]}]
    found = stage.call("ec2", "DescribeInstances", Filters=zone)["Reservations"]
    assert [one["Instances"][0]["InstanceId"] for one in found] == ids[1::3]
    with pytest.raises(AwsError, match="InvalidParameterCombination"):
        stage.call("ec2", "DescribeInstances", InstanceIds=ids, MaxResults=5)
    with pytest.raises(AwsError, match="InvalidParameterValue"):
        stage.call("ec2", "DescribeInstances", MaxResults=4)
    with pytest.raises(AwsError, match="InvalidParameterValue"):
        stage.call("ec2", "DescribeInstances", NextToken="nonsense")
    with pytest.raises(AwsError, match="do not exist"):
        stage.call("ec2", "DescribeInstances", InstanceIds=["i-00000000000000001", "i-00000000000000002"])
    with pytest.raises(AwsError, match="Malformed"):
        stage.call("ec2", "DescribeInstances", InstanceIds=["web-1"])
    with pytest.raises(Unmodelled, match="hypervisor"):
        stage.call("ec2", "DescribeInstances", Filters=[{"Name": "hypervisor", "Values": ["xen"]}])


def test_a_thousand_instances_are_described_quickly() -> None:
    stage = Stage()
    stage.gateway.validate_responses = False
    launched(stage, 1000)
    start = time.process_time()
    answer = stage.call("ec2", "DescribeInstances")
    assert time.process_time() - start < 0.2
    assert len(answer["Reservations"]) == 1000


def test_status_shows_scheduled_events_and_completed_ones_for_a_week() -> None:
    stage = Stage()
    ids = launched(stage, 2)
    stage.settle()
    stage.ec2.schedule_event(ids[0], "instance-retirement", START + timedelta(hours=2))
    stage.ec2.schedule_event(ids[1], "instance-retirement", START + timedelta(days=20))

    def events() -> dict[str, list[str]]:
        answer = stage.call("ec2", "DescribeInstanceStatus", IncludeAllInstances=True)["InstanceStatuses"]
        return {one["InstanceId"]: [each["Description"] for each in one.get("Events", [])] for one in answer}

    text = "The instance is running on degraded hardware"
    assert events() == {ids[0]: [text], ids[1]: [text]}
    by_code = [{"Name": "event.code", "Values": ["instance-retirement"]}]
    assert len(stage.call("ec2", "DescribeInstanceStatus", Filters=by_code)["InstanceStatuses"]) == 2
    stage.run(3 * 3600)
    assert stage.ec2.instances[ids[0]].state == "stopped"
    assert events() == {ids[0]: [f"[Completed] {text}"], ids[1]: [text]}
    running = stage.call("ec2", "DescribeInstanceStatus")["InstanceStatuses"]
    assert [one["InstanceId"] for one in running] == [ids[1]]
    stage.run(8 * 86400)
    assert events() == {ids[0]: [], ids[1]: [text]}


def test_a_retirement_stops_ebs_and_ends_instance_store_without_a_call() -> None:
    stage = Stage()
    (ebs,) = launched(stage)
    (store,) = launched(stage, root_device="instance-store")
    stage.settle()
    for one in (ebs, store):
        stage.ec2.schedule_event(one, "instance-retirement", START + timedelta(minutes=5))
    stage.run(10 * MINUTE)
    assert stage.ecs.stopped == [ebs]
    assert stage.ecs.terminated == [(store, None)]


def test_maintenance_that_reaches_its_date_ends_the_run_loudly() -> None:
    stage = Stage()
    (instance,) = launched(stage)
    stage.settle()
    stage.ec2.schedule_event(instance, "system-reboot", START + timedelta(minutes=5))
    with pytest.raises(Unmodelled, match="system-reboot"):
        stage.run(10 * MINUTE)


def test_status_limits() -> None:
    stage = Stage()
    ids = launched(stage, 101)
    assert len(stage.call("ec2", "DescribeInstanceStatus", InstanceIds=ids[:100])["InstanceStatuses"]) == 100
    with pytest.raises(AwsError, match="100"):
        stage.call("ec2", "DescribeInstanceStatus", InstanceIds=ids)
    with pytest.raises(AwsError, match="InvalidParameterCombination"):
        stage.call("ec2", "DescribeInstanceStatus", InstanceIds=ids[:2], MaxResults=10)


def test_a_spot_instance_is_taken_two_minutes_after_its_warning() -> None:
    stage = Stage()
    (instance,) = launched(stage, market="spot")
    stage.settle()
    stage.ec2.interrupt_spot(instance)
    kind, detail, resources = stage.bus.events[0]
    assert kind == "EC2 Spot Instance Interruption Warning"
    assert detail == {"instance-id": instance, "instance-action": "terminate"}
    assert resources == [f"arn:aws:ec2:us-east-1a:instance/{instance}"]
    stage.run(119)
    assert stage.ec2.instances[instance].state == "running"
    stage.run(2)
    assert stage.ec2.instances[instance].state == "shutting-down"
    with pytest.raises(AwsError, match="IncorrectInstanceState"):
        stage.call("ec2", "StopInstances", InstanceIds=[instance])


def test_capacity_runs_out_by_zone_type_and_time_and_is_used_up() -> None:
    faults = [CapacityFault(zone="us-east-1a", after=60, until=120), CapacityFault(instance_type="c5.large", left=1)]
    stage = Stage(ec2=Ec2Options(no_capacity=faults))
    stage.ec2.check_capacity("us-east-1b", "c5.large")
    stage.settle()
    stage.ec2.check_capacity("us-east-1a", "m5.large")
    stage.ec2.check_capacity("us-east-1b", "c5.large")
    with pytest.raises(InsufficientCapacityError, match=r"sufficient c5.large capacity .* \(us-east-1b\)"):
        stage.ec2.check_capacity("us-east-1b", "c5.large")
    stage.run(60)
    with pytest.raises(InsufficientCapacityError):
        stage.ec2.check_capacity("us-east-1a", "m5.large")
    stage.run(60)
    stage.ec2.check_capacity("us-east-1a", "m5.large")


def test_instance_types_are_described_and_unknown_ones_are_loud() -> None:
    stage = Stage()
    kinds = ["g4dn.xlarge", "m5.large"]
    shown = stage.call("ec2", "DescribeInstanceTypes", InstanceTypes=kinds)["InstanceTypes"]
    assert [one["InstanceType"] for one in shown] == kinds
    assert shown[0]["GpuInfo"]["Gpus"][0]["Count"] == 1
    assert shown[1]["VCpuInfo"]["DefaultVCpus"] == 2
    assert shown[1]["MemoryInfo"]["SizeInMiB"] == 8192
    assert shown[1]["NetworkInfo"]["MaximumNetworkInterfaces"] == 3
    with pytest.raises(Unmodelled, match=r"z1d\.large"):
        stage.call("ec2", "DescribeInstanceTypes", InstanceTypes=["z1d.large"])
    with pytest.raises(AwsError, match="InvalidInstanceType"):
        stage.call("ec2", "DescribeInstanceTypes", InstanceTypes=["large"])


def test_subnets_and_zones_are_those_of_the_world() -> None:
    stage = Stage()
    subnets = stage.call("ec2", "DescribeSubnets", SubnetIds=["subnet-1"])["Subnets"]
    assert [(one["AvailabilityZone"], one["AvailabilityZoneId"]) for one in subnets] == [("us-east-1b", "use1-az2")]
    zones = stage.call("ec2", "DescribeAvailabilityZones")["AvailabilityZones"]
    assert [one["ZoneName"] for one in zones] == ["us-east-1a", "us-east-1b", "us-east-1c"]
    with pytest.raises(AwsError, match="InvalidSubnetID"):
        stage.call("ec2", "DescribeSubnets", SubnetIds=["subnet-9"])


def test_launch_templates_have_versions_and_a_default() -> None:
    stage = Stage()
    stage.call(
        "ec2",
        "CreateLaunchTemplateVersion",
        LaunchTemplateName="hosts",
        SourceVersion="1",
        LaunchTemplateData={"InstanceType": "m5.xlarge"},
    )
    shown = stage.call("ec2", "DescribeLaunchTemplateVersions", LaunchTemplateName="hosts")["LaunchTemplateVersions"]
    kinds = [(one["VersionNumber"], one["LaunchTemplateData"]["InstanceType"]) for one in shown]
    assert kinds == [(2, "m5.xlarge"), (1, "m5.large")]
    assert [one["DefaultVersion"] for one in shown] == [False, True]
    assert shown[0]["LaunchTemplateData"]["ImageId"] == "ami-0aaaaaaaaaaaaaaa1"
    for bad in (
        {"LaunchTemplateName": "others"},
        {"LaunchTemplateId": "lt-0"},
        {"LaunchTemplateName": "hosts", "Versions": ["3"]},
    ):
        with pytest.raises(AwsError, match="InvalidLaunchTemplate"):
            stage.call("ec2", "DescribeLaunchTemplateVersions", **bad)
    with pytest.raises(AwsError, match="BASE64"):
        stage.call("ec2", "CreateLaunchTemplate", LaunchTemplateName="bad", LaunchTemplateData=template(UserData="%%%"))
    with pytest.raises(Unmodelled, match="KernelId"):
        stage.call("ec2", "CreateLaunchTemplate", LaunchTemplateName="bad", LaunchTemplateData=template(KernelId="k"))


def test_boto3_reads_what_the_twin_answers() -> None:
    stage = Stage()
    (instance,) = launched(stage, tags={"Name": "first"})
    with stage.gateway.intercepted():
        client = stage.gateway.client("ec2", stage.kernel.calls[0].caller)
        found = client.describe_instances(Filters=[{"Name": "tag:Name", "Values": ["fir*"]}])
    assert found["Reservations"][0]["Instances"][0]["InstanceId"] == instance
