"""Evidence against a balancer with traffic in the twin, through real boto3 clients."""

from __future__ import annotations

from datetime import timedelta

import pytest
from bake_stage import GOOD, START, Bake, bake, minutes_until
from caretaker.aws import errors
from caretaker.releases.model import Action, Arm, Minute

from twin.kernel.gateway import ApiFault
from twin.traffic.model import Behaviour, TrafficOptions

MINUTE = timedelta(minutes=1)
AT_ONCE = TrafficOptions(lag=0.0, lag_jitter=0.0)


def totals(minutes: tuple[Minute, ...], arm: str) -> tuple[int, int, int]:
    """Requests, 5xx and 4xx of all minutes."""
    arms: list[Arm] = [getattr(minute, arm) for minute in minutes]
    return (
        sum(each.requests or 0 for each in arms),
        sum(each.errors_5xx for each in arms),
        sum(each.errors_4xx for each in arms),
    )


def test_every_closed_minute_is_there_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    with bake(monkeypatch) as world:
        world.run(0.4)
        world.shift(10)
        world.run(7.5)
        found = world.collect()
        assert world.started is not None
        assert [minute.start for minute in found.minutes] == minutes_until(world.now, world.started)
        assert len(found.history) == 185
        assert found.history[-1].start == world.started - MINUTE
        assert {minute.start.second for minute in (*found.history, *found.minutes)} == {0}


def test_settled_evidence_is_what_happened(monkeypatch: pytest.MonkeyPatch) -> None:
    with bake(
        monkeypatch, Behaviour(task_definition="web:2", errors_5xx=0.03, errors_4xx=0.05), options=AT_ONCE
    ) as world:
        world.shift(20)
        world.run(10)
        found = world.collect()
        stage = world.stage
        assert all(minute.canary.whole and minute.baseline.whole for minute in found.minutes)
        for arm, group in (("canary", stage.green), ("baseline", stage.blue)):
            names = ("RequestCount", "HTTPCode_Target_5XX_Count", "HTTPCode_Target_4XX_Count")
            begin = (found.minutes[0].start - START) // MINUTE
            truth = [
                sum(count for minute, count in stage.series(name, group).items() if begin <= minute < begin + 10)
                for name in names
            ]
            assert list(totals(found.minutes, arm)) == truth
        minute = found.minutes[4]
        assert minute.canary.timed == minute.canary.requests
        assert (minute.canary.healthy, minute.canary.unhealthy) == (4, 0)
        assert sum(zone.requests for zone in minute.zones) == minute.baseline.requests
        assert len(minute.zones) == 2


def test_late_metrics_count_as_soon_as_they_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    late = TrafficOptions(lag=240.0, lag_jitter=30.0)
    with bake(monkeypatch, options=late) as world:
        world.shift(10)
        world.run(12)
        early = world.collect()
        newest = [minute.canary.requests for minute in early.minutes[-4:]]
        assert newest == [None] * 4
        world.run(6)
        settled = world.collect()
        assert settled.minutes[:6] == early.minutes[:6]
        assert all(minute.canary.whole for minute in settled.minutes[:12])
        world.run(30)
        assert world.collect().minutes[:12] == settled.minutes[:12]


@pytest.mark.parametrize("zeros", [False, True])
@pytest.mark.parametrize("unanswered", [False, True])
def test_a_good_release_is_promoted_however_late_and_whatever_aws_counts(
    monkeypatch: pytest.MonkeyPatch, zeros: bool, unanswered: bool
) -> None:
    options = TrafficOptions(lag=240.0, lag_jitter=30.0, report_zeros=zeros, count_unanswered=unanswered)
    with bake(monkeypatch, options=options) as world:
        world.shift(25)
        for _ in range(9):
            world.run(5)
            verdict = world.judge()
            assert verdict.action in (Action.CONTINUE, Action.PROMOTE), verdict.reason
        assert verdict.action is Action.PROMOTE


@pytest.mark.parametrize("zeros", [False, True])
@pytest.mark.parametrize("unanswered", [False, True])
@pytest.mark.parametrize("dead", ["refuses", "times_out"])
def test_a_dead_canary_is_found_whatever_aws_counts(
    monkeypatch: pytest.MonkeyPatch, zeros: bool, unanswered: bool, dead: str
) -> None:
    options = TrafficOptions(report_zeros=zeros, count_unanswered=unanswered)
    with bake(monkeypatch, Behaviour(task_definition="web:2", dead=dead), options=options) as world:  # type: ignore[arg-type]
        world.shift(5)
        looks = looks_until(world, Action.ROLL_BACK, 20)
        assert looks < 15


@pytest.mark.parametrize(
    ("behaviour", "word"),
    [
        (Behaviour(task_definition="web:2", errors_5xx=0.03), "5xx"),
        (Behaviour(task_definition="web:2", errors_4xx=0.12), "4xx"),
        (Behaviour(task_definition="web:2", median=0.4, p99=2.0), "slow"),
    ],
)
def test_a_bad_release_is_found_by_what_is_bad_about_it(
    monkeypatch: pytest.MonkeyPatch, behaviour: Behaviour, word: str
) -> None:
    with bake(monkeypatch, behaviour) as world:
        world.shift(10)
        looks_until(world, Action.ROLL_BACK, 15)
        verdict = world.judge()
        assert word in verdict.reason


def looks_until(world: Bake, action: Action, most: int) -> int:
    """Minutes until a look comes to `action`."""
    for look in range(1, most + 1):
        world.run(1)
        verdict = world.judge()
        if verdict.action is action:
            return look
    raise AssertionError(f"no {action} in {most} minutes: {verdict.reason}")


def test_a_slow_line_is_the_baselines_p99_and_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    with bake(
        monkeypatch,
        Behaviour(task_definition="web:1", median=0.1, p99=0.5),
        Behaviour(task_definition="web:2", median=0.3),
    ) as world:
        world.shift(50)
        world.run(5)
        first = world.collect()
        assert first.slow_over == pytest.approx(0.5, rel=0.1)
        world.run(25)
        later = world.collect()
        assert later.slow_over == first.slow_over
        slow = [sum(arm.slow for arm in (m.baseline for m in later.minutes)), sum(m.canary.slow for m in later.minutes)]
        timed = [sum(m.baseline.timed for m in later.minutes), sum(m.canary.timed for m in later.minutes)]
        assert slow[0] / timed[0] == pytest.approx(0.01, abs=0.004)
        assert slow[1] / timed[1] > 0.1


def test_the_owners_line_is_taken_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    with bake(monkeypatch, Behaviour(task_definition="web:2", median=5.0, p99=6.0)) as world:
        world.shift(10)
        world.run(4)
        found = world.collect(slow_over=2.0)
        assert found.slow_over == 2.0
        assert [m.canary.slow for m in found.minutes[:3]] == [m.canary.timed for m in found.minutes[:3]]
        assert sum(m.baseline.slow for m in found.minutes) == 0


def test_the_share_is_told_only_where_the_weights_stood(monkeypatch: pytest.MonkeyPatch) -> None:
    with bake(monkeypatch) as world:
        world.run(0.5)
        world.shift(10)
        world.run(6)
        world.look()
        assert world.weights() == [None, 0.1, 0.1, 0.1, 0.1, 0.1]
        world.shift(25)
        world.run(4)
        world.look()
        assert world.weights() == [None, 0.1, 0.1, 0.1, 0.1, 0.1, None, 0.25, 0.25, 0.25]


def test_a_dead_canary_is_found_in_steps_of_a_few_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    with bake(monkeypatch, Behaviour(task_definition="web:2", dead="times_out")) as world:
        for share in (10, 20, 30, 40):
            world.shift(share)
            for _ in range(3):
                world.run(1)
                verdict = world.look()
        assert verdict.action is Action.ROLL_BACK
        assert "share of requests" in verdict.reason


def test_a_reset_from_outside_is_told_and_no_dead_canary(monkeypatch: pytest.MonkeyPatch) -> None:
    with bake(monkeypatch) as world:
        world.shift(20)
        world.run(5)
        world.look()
        assert world.collect().doubt == ""
        world.stage.weigh(100, 0)
        for _ in range(20):
            world.run(1)
            assert world.look().action is not Action.ROLL_BACK
        assert "blue 100, green 0 where the canary is meant to have 20.0%" in world.collect().doubt
        assert world.weights() == [None, 0.2, 0.2, 0.2, 0.2] + [None] * 20
        world.stage.weigh(80, 20)
        for _ in range(15):
            world.run(1)
            assert world.look().action is not Action.ROLL_BACK
        assert world.weights() == [None, 0.2, 0.2, 0.2, 0.2] + [None] * 22 + [0.2] * 13


def test_weights_that_take_minutes_to_spread_are_no_dead_canary(monkeypatch: pytest.MonkeyPatch) -> None:
    with bake(monkeypatch, per_minute=12_000.0, propagation=240.0) as world:
        world.shift(10)
        for _ in range(12):
            world.run(1)
            assert world.look().action is not Action.ROLL_BACK


def test_pinned_sessions_are_no_dead_canary(monkeypatch: pytest.MonkeyPatch) -> None:
    with bake(monkeypatch) as world:
        actions = world.stage.forward(80, 20)
        actions[0]["ForwardConfig"]["TargetGroupStickinessConfig"] = {"Enabled": True, "DurationSeconds": 86_400}
        world.stage.call("elbv2", "ModifyListener", ListenerArn=world.stage.listener, DefaultActions=actions)
        world.weight, world.started, world.changed = 0.2, world.now, world.now
        world.run(15)
        found = world.collect()
        assert "sessions are held" in found.doubt
        assert {minute.weight for minute in found.minutes} == {None}


def test_before_its_start_a_release_has_a_past_only(monkeypatch: pytest.MonkeyPatch) -> None:
    with bake(monkeypatch) as world:
        found = world.collect()
        assert found.minutes == ()
        assert len(found.history) == 185
        assert found.history[100].baseline.whole
        requests, errors, _ = totals(found.history, "baseline")
        assert errors / requests == pytest.approx(GOOD[0].errors_5xx, rel=0.1)


def test_more_than_five_hundred_series_are_read_in_several_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    from caretaker.aws.cloudwatch import Query, get_metric_data
    from caretaker.releases.evidence import balancer_dimension, group_dimension

    with bake(monkeypatch) as world:
        known = (*balancer_dimension(world.stage.balancer), *group_dimension(world.stage.blue))
        real = Query("AWS/ApplicationELB", "RequestCount", known, "Sum")
        others = [Query("AWS/ApplicationELB", f"Nothing{n}", known, "Sum") for n in range(700)]
        end = world.now.replace(second=0, microsecond=0)
        found = get_metric_data([*others, real], end - timedelta(minutes=10), end)
        assert len(found[real]) == 10
        assert sum(len(found[each]) for each in others) == 0
        calls = [call for call in world.stage.kernel.calls if call.operation == "GetMetricData"]
        assert len(calls) == 2


def test_a_balancer_that_is_gone_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with bake(monkeypatch) as world:
        world.shift(10)
        world.run(3)
        world.stage.call("elbv2", "DeleteLoadBalancer", LoadBalancerArn=world.stage.balancer)
        with pytest.raises(errors.Missing):
            world.collect()


def test_evidence_that_cannot_be_read_is_an_error_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    with bake(monkeypatch) as world:
        world.shift(10)
        world.run(3)
        faults = world.stage.gateway.api_faults
        faults.append(ApiFault("cloudwatch", "GetMetricData", "Throttling", times=None))
        kernel = world.stage.kernel
        caught: list[Exception] = []

        def look() -> None:
            try:
                world.collect()
            except errors.Throttled as error:
                caught.append(error)

        kernel.scheduler.spawn(look, name="look")
        world.run(2)
        assert [str(error) for error in caught] == ["GetMetricData: Throttling: Rate exceeded"]


@pytest.mark.parametrize(
    ("of_target", "by_zone", "least", "most"),
    [(True, True, 4.0, 10.0), (False, True, 1.0, 1.6), (False, False, 7.5, 7.5), (True, False, 7.5, 7.5)],
)
def test_zones_of_nodes_hide_bursts_and_zones_that_are_not_read_do_not(
    monkeypatch: pytest.MonkeyPatch, of_target: bool, by_zone: bool, least: float, most: float
) -> None:
    """What the dimension AvailabilityZone is, AWS does not say; policy's `by_zone: false` is right either way."""
    options = TrafficOptions(zone_of_target=of_target)
    with bake(monkeypatch, Behaviour(errors_5xx=0.01, burst=(3, 10)), options=options) as world:
        world.shift(10)
        world.run(8)
        found = world.collect(by_zone=by_zone)
        assert all(bool(minute.zones) == by_zone for minute in found.history[:-10])
        verdict = world.judge(by_zone=by_zone)
        assert least <= verdict.stream("5xx").phi <= most
