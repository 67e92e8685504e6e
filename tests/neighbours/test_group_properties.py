"""Random operations on a group: what Auto Scaling promises holds after each."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.neighbours.stage import MINUTE, ZONES, Stage
from twin.errors import AwsError
from twin.neighbours.autoscaling import AutoScalingOptions
from twin.neighbours.ec2 import CapacityFault, Ec2Options
from twin.neighbours.groups import Member
from twin.neighbours.scale_in import choose

small = st.integers(0, 6)
operations = st.one_of(
    st.tuples(st.just("desired"), small),
    st.tuples(st.just("bounds"), small, small),
    st.tuples(st.just("terminate"), small, st.booleans()),
    st.tuples(st.just("protect"), small, st.booleans()),
    st.tuples(st.just("launch"), st.integers(1, 2), st.sampled_from(ZONES[:2])),
    st.tuples(st.just("kill"), small),
    st.tuples(st.just("suspend"), st.sampled_from(["Launch", "Terminate", "AZRebalance"])),
    st.tuples(st.just("resume")),
    st.tuples(st.just("pass"), st.sampled_from([1, 30, 200, 2000])),
)


class Watched(Stage):
    """A group whose scale-in choices are checked as they are made."""

    def __init__(self, seed: int, options: AutoScalingOptions, ec2: Ec2Options) -> None:
        super().__init__(seed, ec2, options, validate=False)
        self.create_group(DesiredCapacity=3, MaxSize=5)
        self.tokens = 0
        self.settle()
        fleet = self.autoscaling.fleet
        scale_in = fleet._scale_in

        def checked(group: Any, member: Member, why: str, call: Any) -> None:
            assert not member.protected
            scale_in(group, member, why, call)

        fleet._scale_in = checked

    def act(self, kind: str, *values: Any) -> None:
        try:
            getattr(self, f"do_{kind}")(*values)
        except AwsError as error:
            if error.code != "ValidationError":
                raise

    def do_desired(self, value: int) -> None:
        self.asg("SetDesiredCapacity", DesiredCapacity=value)

    def do_bounds(self, minimum: int, maximum: int) -> None:
        self.asg("UpdateAutoScalingGroup", MinSize=minimum, MaxSize=maximum)

    def do_terminate(self, index: int, decrement: bool) -> None:
        self.asg(
            "TerminateInstanceInAutoScalingGroup",
            InstanceIds=[self.pick(index)],
            ShouldDecrementDesiredCapacity=decrement,
        )

    def do_protect(self, index: int, protected: bool) -> None:
        self.asg("SetInstanceProtection", InstanceIds=[self.pick(index)], ProtectedFromScaleIn=protected)

    def do_launch(self, count: int, zone: str) -> None:
        if "Launch" in self.autoscaling.group("hosts").suspended:
            return
        self.tokens += 1
        token = f"token-{self.tokens}"
        self.asg("LaunchInstances", RequestedCapacity=count, ClientToken=token, AvailabilityZones=[zone])

    def do_kill(self, index: int) -> None:
        self.call("ec2", "TerminateInstances", InstanceIds=[self.pick(index)])

    def do_suspend(self, process: str) -> None:
        self.asg("SuspendProcesses", ScalingProcesses=[process])

    def do_resume(self) -> None:
        self.asg("ResumeProcesses")

    def do_pass(self, seconds: float) -> None:
        self.run(seconds)

    def pick(self, index: int) -> str:
        members = list(self.autoscaling.group("hosts").members)
        if not members:
            raise AwsError("ValidationError", "no member")
        return members[index % len(members)]

    def check(self) -> None:
        group = self.autoscaling.group("hosts")
        assert group.minimum <= group.desired <= group.maximum


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 1000),
    raises=st.booleans(),
    respects=st.booleans(),
    no_capacity=st.booleans(),
    steps=st.lists(operations, max_size=14),
)
def test_size_stays_in_bounds_and_converges_and_protected_instances_stay(
    seed: int, raises: bool, respects: bool, no_capacity: bool, steps: list[tuple[Any, ...]]
) -> None:
    options = AutoScalingOptions(launch_instances_raises_desired=raises, launch_instances_respects_max=respects)
    faults = [CapacityFault(zone="us-east-1b", until=20 * MINUTE)] if no_capacity else []
    stage = Watched(seed, options, Ec2Options(no_capacity=faults))
    for step in steps:
        stage.act(*step)
        stage.check()
    stage.do_resume()
    stage.run(3 * 3600)
    stage.check()
    group = stage.autoscaling.group("hosts")
    protected = [member for member in group.live if member.protected]
    assert len(group.live) == max(group.desired, len(protected))
    assert {member.lifecycle for member in group.members.values()} <= {"InService"}
    if not protected:
        assert not group.unbalanced
    alive = {one.instance_id for one in stage.ec2.instances.values() if one.alive}
    assert alive == set(group.members)


@settings(deadline=None)
@given(seed=st.integers(0, 100), protected=st.sets(st.integers(0, 5)), desired=st.integers(1, 6))
def test_the_choice_never_falls_on_a_protected_instance(seed: int, protected: set[int], desired: int) -> None:
    stage = Stage(seed, validate=False)
    group = stage.create_group(DesiredCapacity=desired, subnets=3)
    for index, member in enumerate(group.live):
        member.protected = index in protected
    chosen = choose(group, stage.kernel.clock.now(), stage.kernel.rng("test"))
    free = [member for member in group.live if not member.protected]
    assert (chosen is None) == (not free)
    if chosen:
        counts = group.per_zone()
        assert not chosen.protected
        assert counts[chosen.zone] == max(counts[member.zone] for member in free)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 100), steps=st.lists(operations, max_size=8))
def test_the_same_seed_gives_the_same_events(seed: int, steps: list[tuple[Any, ...]]) -> None:
    def story() -> list[Any]:
        stage = Watched(seed, AutoScalingOptions(), Ec2Options())
        for step in steps:
            stage.act(*step)
        stage.run(1800)
        return stage.bus.events

    assert story() == story()
