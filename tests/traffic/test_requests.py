"""Where requests go and what becomes of them, read as CloudWatch shows it."""

from __future__ import annotations

import math
import statistics
import time
from datetime import timedelta

import pytest
from traffic_stage import START, ZONES, Stage

from twin.errors import Unmodelled
from twin.traffic.model import Behaviour, Daily, Requests, TrafficOptions, Trouble


def test_requests_follow_the_weights_of_the_rule() -> None:
    stage = Stage()
    stage.weigh(95, 5)
    stage.traffic(6_000)
    stage.run(3_600)
    blue, green = (sum(stage.series("RequestCount", group).values()) for group in (stage.blue, stage.green))
    assert blue + green == pytest.approx(360_000, abs=4 * 600)
    assert green / (blue + green) == pytest.approx(0.05, abs=0.002)


def test_a_shift_in_the_middle_of_a_minute_shows_in_that_minute() -> None:
    stage = Stage()
    stage.traffic(6_000)
    stage.run(90)
    stage.weigh(0, 100)
    stage.run(90)
    green = stage.series("RequestCount", stage.green)
    assert set(green) == {1, 2}
    assert green[1] == pytest.approx(3_000, abs=300)
    assert green[2] == pytest.approx(6_000, abs=400)


def test_a_change_of_weights_arrives_gradually() -> None:
    stage = Stage(propagation=60)
    stage.traffic(6_000)
    stage.run(60)
    stage.weigh(0, 100)
    stage.run(180)
    green = stage.series("RequestCount", stage.green)
    assert 1_500 < green[1] < 5_000
    assert green[2] == pytest.approx(6_000, abs=400)


def test_the_numbers_are_poisson_and_add_up() -> None:
    stage = Stage()
    stage.traffic(600, Behaviour(errors_5xx=0.1, errors_4xx=0.2, redirects=0.1))
    stage.run(6 * 3_600)
    counts = stage.series("RequestCount", stage.blue)
    assert statistics.variance(counts.values()) == pytest.approx(600, rel=0.25)
    whole = sum(counts.values())
    codes = {code: stage.total(f"HTTPCode_Target_{code}XX_Count", stage.blue) for code in (2, 3, 4, 5)}
    assert sum(codes.values()) == whole
    for code, share in {5: 0.1, 4: 0.2, 3: 0.07, 2: 0.63}.items():
        assert codes[code] / whole == pytest.approx(share, abs=0.005)


def test_zones_and_balancer_add_up_to_the_target_group() -> None:
    stage = Stage()
    stage.weigh(80, 20)
    stage.traffic(1_000, Behaviour(errors_5xx=0.05))
    stage.run(600)
    for name in ("RequestCount", "HTTPCode_Target_5XX_Count", "HTTPCode_Target_2XX_Count"):
        zones = [stage.series(name, stage.blue, zone=zone) for zone in ZONES]
        blue = stage.series(name, stage.blue)
        assert all(sum(zone.get(minute, 0) for zone in zones) == value for minute, value in blue.items())
        assert stage.total(name) == stage.total(name, stage.blue) + stage.total(name, stage.green)
        assert stage.total(name) == sum(stage.total(name, zone=zone) for zone in ZONES)


def test_what_is_zero_is_not_reported() -> None:
    stage = Stage()
    stage.traffic(60)
    stage.run(600)
    for name in ("HTTPCode_Target_5XX_Count", "HTTPCode_Target_4XX_Count", "TargetConnectionErrorCount"):
        assert stage.series(name, stage.blue) == {}
    assert stage.series("HTTPCode_ELB_5XX_Count") == {}
    for name in ("RequestCount", "TargetResponseTime"):
        assert stage.series(name, stage.green) == {}


def test_whether_zeros_are_reported_is_the_worlds_choice() -> None:
    stage = Stage()
    stage.traffic(60, options=TrafficOptions(lag=0, lag_jitter=0, report_zeros=True))
    stage.run(120)
    assert stage.series("HTTPCode_Target_5XX_Count", stage.blue) == {0: 0.0, 1: 0.0}
    assert stage.series("RequestCount", stage.green) == {0: 0.0, 1: 0.0}
    assert stage.series("HTTPCode_ELB_5XX_Count") == {}


@pytest.mark.parametrize(("dead", "code"), [("refuses", 502), ("times_out", 504)])
def test_a_dead_canary_shows_nothing_at_its_target_group(dead: str, code: int) -> None:
    stage = Stage()
    stage.weigh(90, 10)
    stage.traffic(1_000, Behaviour(task_definition="web:2", dead=dead))  # type: ignore[arg-type]
    stage.run(600)
    codes = [f"HTTPCode_Target_{digit}XX_Count" for digit in (2, 3, 4, 5)]
    for name in ("RequestCount", "TargetResponseTime", *codes):
        assert stage.series(name, stage.green) == {}
    lost = stage.total(f"HTTPCode_ELB_{code}_Count")
    assert lost == pytest.approx(1_000, abs=130)
    assert stage.total("HTTPCode_ELB_5XX_Count") == lost
    assert stage.series(f"HTTPCode_ELB_{code}_Count", stage.green) == {}
    refused = stage.total("TargetConnectionErrorCount", stage.green)
    assert refused == (lost if dead == "refuses" else 0)
    assert stage.total("HTTPCode_Target_2XX_Count", stage.blue) == pytest.approx(9_000, abs=400)


def test_whether_unanswered_requests_are_counted_is_the_worlds_choice() -> None:
    stage = Stage()
    stage.weigh(90, 10)
    options = TrafficOptions(lag=0, lag_jitter=0, count_unanswered=True)
    stage.traffic(1_000, Behaviour(task_definition="web:2", dead="refuses"), options=options)
    stage.run(600)
    assert stage.total("RequestCount", stage.green) == stage.total("HTTPCode_ELB_502_Count")


def test_a_group_of_unhealthy_targets_alone_gets_its_requests_all_the_same() -> None:
    stage = Stage()
    stage.traffic(1_000)
    for target_id in list(stage.alive)[::2]:
        stage.alive[target_id] = False
        stage.elbv2.probe_changed(stage.blue, target_id, 80)
    stage.run(600)
    unhealthy = stage.series("UnHealthyHostCount", stage.blue, stat="Maximum")
    assert unhealthy[max(unhealthy)] == 4
    assert stage.series("HealthyHostCount", stage.blue, stat="Minimum")[max(unhealthy)] == 0
    assert stage.series("RequestCount", stage.blue)[max(unhealthy)] == pytest.approx(1_000, abs=150)
    assert stage.series("HTTPCode_ELB_503_Count") == {}


def test_unhealthy_targets_get_nothing_while_others_are_healthy() -> None:
    stage = Stage()
    stage.traffic(1_000)
    stage.alive["10.0.0.0"] = stage.alive["10.0.0.2"] = False
    for target_id in ("10.0.0.0", "10.0.0.2"):
        stage.elbv2.probe_changed(stage.blue, target_id, 80)
    stage.run(600)
    zone = stage.series("RequestCount", stage.blue, zone=ZONES[0])
    assert 9 not in zone
    assert stage.series("RequestCount", stage.blue, zone=ZONES[1])[9] == pytest.approx(1_000, abs=150)


def test_a_group_without_targets_answers_503_for_the_balancer() -> None:
    stage = Stage()
    stage.weigh(50, 50)
    for number in range(4):
        stage.elbv2.deregister(stage.green, f"10.0.1.{number}", 80)
    stage.traffic(1_000)
    stage.run(600)
    assert stage.total("HTTPCode_ELB_503_Count") == pytest.approx(5_000, abs=300)
    assert stage.total("HTTPCode_ELB_5XX_Count") == stage.total("HTTPCode_ELB_503_Count")
    assert stage.series("RequestCount", stage.green) == {}
    assert stage.series("HealthyHostCount", stage.green, stat="Average") == {}


@pytest.mark.parametrize("fails_open", [False, True])
def test_what_targets_without_a_first_check_get_is_the_worlds_choice(fails_open: bool) -> None:
    stage = Stage(targets=0)
    options = TrafficOptions(lag=0, lag_jitter=0, fail_open_to_initial=fails_open)
    stage.traffic(1_000, options=options)
    stage.alive["10.9.0.1"] = True
    stage.add_target(stage.blue, "10.9.0.1", "web:1", ZONES[0])
    stage.run(60)
    assert bool(stage.series("RequestCount", stage.blue)) is fails_open
    assert bool(stage.series("HTTPCode_ELB_503_Count")) is not fails_open


def test_hosts_are_counted_by_zone_and_for_the_group() -> None:
    stage = Stage(targets=3)
    stage.traffic(60)
    stage.run(120)
    assert set(stage.series("HealthyHostCount", stage.green, stat="Average").values()) == {3.0}
    by_zone = [stage.series("HealthyHostCount", stage.green, zone=zone, stat="Average")[0] for zone in ZONES]
    assert by_zone == [2.0, 1.0]
    assert set(stage.series("UnHealthyHostCount", stage.green, stat="Maximum").values()) == {0.0}


def test_a_revision_may_change_for_the_worse() -> None:
    stage = Stage()
    stage.weigh(50, 50)
    usual, worse = Behaviour(errors_5xx=0.01), Behaviour(task_definition="web:2", errors_5xx=0.2, after=300, until=600)
    stage.traffic(6_000, usual, worse)
    stage.run(900)
    green = stage.series("HTTPCode_Target_5XX_Count", stage.green)
    assert [round(sum(green[m] for m in range(*span)) / 15_000, 2) for span in ((0, 5), (5, 10), (10, 15))] == [
        0.01,
        0.2,
        0.01,
    ]
    assert stage.total("HTTPCode_Target_5XX_Count", stage.blue) == pytest.approx(450, abs=90)


def test_a_family_and_a_revision_are_told_apart() -> None:
    stage = Stage()
    stage.weigh(50, 50)
    stage.traffic(
        600, Behaviour(task_definition="web", errors_5xx=0.5), Behaviour(task_definition="web:1", errors_5xx=0.0)
    )
    stage.run(300)
    assert stage.series("HTTPCode_Target_5XX_Count", stage.blue) == {}
    assert stage.total("HTTPCode_Target_5XX_Count", stage.green) == pytest.approx(750, abs=130)


def test_trouble_strikes_every_revision_alike() -> None:
    stage = Stage()
    stage.weigh(50, 50)
    trouble = [Trouble(after=300, errors=10, latency=4, requests=0.5)]
    stage.traffic(6_000, Behaviour(errors_5xx=0.01, median=0.1, p99=0.3), trouble=trouble)
    stage.run(600)
    for group in (stage.blue, stage.green):
        errors = stage.series("HTTPCode_Target_5XX_Count", group)
        before, after = (sum(errors[minute] for minute in span) for span in (range(5), range(5, 10)))
        assert (before, after) == (pytest.approx(150, abs=55), pytest.approx(750, abs=120))
        medians = stage.series("TargetResponseTime", group, stat="p50")
        assert medians[9] / medians[0] == pytest.approx(4, rel=0.15)


def test_errors_may_come_in_bursts() -> None:
    def errors(burst: tuple[int, int] | None) -> list[float]:
        stage = Stage()
        stage.traffic(1_200, Behaviour(errors_5xx=0.005, burst=burst))
        stage.run(12 * 3_600)
        found = stage.series("HTTPCode_Target_5XX_Count", stage.blue)
        return [found.get(minute, 0.0) for minute in range(720)]

    smooth, bursts = errors(None), errors((3, 10))
    assert statistics.mean(bursts) == pytest.approx(statistics.mean(smooth), rel=0.15)
    assert statistics.variance(smooth) / statistics.mean(smooth) == pytest.approx(1, abs=0.2)
    # For bursts of size S the variance is E[S^2]/E[S] times the mean: 7.3 for sizes 3 to 10.
    assert statistics.variance(bursts) / statistics.mean(bursts) == pytest.approx(7.3, rel=0.25)


def test_a_burst_is_in_one_targets_zone_or_spread_over_nodes() -> None:
    def zones_per_burst(of_target: bool) -> float:
        stage = Stage()
        options = TrafficOptions(lag=0, lag_jitter=0, zone_of_target=of_target)
        stage.traffic(60, Behaviour(errors_5xx=0.01, burst=(8, 8)), options=options)
        stage.run(3_600)
        zones = [stage.series("HTTPCode_Target_5XX_Count", stage.blue, zone=zone) for zone in ZONES]
        return statistics.mean(sum(minute in zone for zone in zones) for minute in {m for zone in zones for m in zone})

    assert zones_per_burst(True) < 1.2 < 1.8 < zones_per_burst(False)


def test_tasks_may_break_under_their_full_load_only() -> None:
    stage = Stage()
    stage.weigh(95, 5)
    stage.traffic(6_000, Behaviour(task_definition="web:2", limit=300))
    stage.run(300)
    assert stage.series("HTTPCode_Target_5XX_Count", stage.green) == {}
    stage.weigh(0, 100)
    stage.run(300)
    late = stage.series("HTTPCode_Target_5XX_Count", stage.green)
    assert late[9] / 6_000 == pytest.approx(1 - 300 / 1_500, abs=0.05)


def test_a_day_has_its_ups_and_downs() -> None:
    stage = Stage()
    streams = [Requests("web", stage.listener, 1_000, Daily(swing=0.5, peak=14 * 3_600))]
    stage.traffic(requests=streams)
    stage.run(86_400)
    counts = stage.series("RequestCount", stage.blue)  # the world starts at 12:00
    assert counts[120] == pytest.approx(1_500, abs=200)
    assert counts[120 + 720] == pytest.approx(500, abs=120)


def test_there_was_traffic_before_the_start() -> None:
    stage = Stage()
    stage.traffic(600, history=3_600.0)
    counts = stage.series("RequestCount", stage.blue)
    assert (min(counts), max(counts)) == (-60, -1)
    assert sum(counts.values()) == pytest.approx(36_000, abs=800)


def test_a_rule_that_is_gone_gets_nothing() -> None:
    stage = Stage()
    stage.traffic(600)
    stage.run(120)
    stage.call("elbv2", "DeleteListener", ListenerArn=stage.listener)
    stage.run(300)
    assert max(stage.series("RequestCount", stage.blue)) <= 2


def test_a_network_load_balancer_has_no_such_metrics() -> None:
    stage = Stage()
    balancer = stage.call("elbv2", "CreateLoadBalancer", Name="n", Type="network", Subnets=["subnet-0"])
    group = stage.call("elbv2", "CreateTargetGroup", Name="n", Protocol="TCP", Port=80, VpcId="vpc-1", TargetType="ip")
    listener = stage.call(
        "elbv2",
        "CreateListener",
        LoadBalancerArn=balancer["LoadBalancers"][0]["LoadBalancerArn"],
        Protocol="TCP",
        Port=81,
        DefaultActions=[{"Type": "forward", "TargetGroupArn": group["TargetGroups"][0]["TargetGroupArn"]}],
    )["Listeners"][0]["ListenerArn"]
    with pytest.raises(Unmodelled, match="no Application Load Balancer"):
        stage.traffic(requests=[Requests("n", listener, 10)], history=60.0)


# --- when metrics come -----------------------------------------------------------------------------------------------
def test_the_open_minute_is_there_in_part() -> None:
    stage = Stage()
    stage.traffic(6_000)
    stage.run(100)
    counts = stage.series("RequestCount", stage.blue)
    assert counts[0] == pytest.approx(6_000, abs=400)
    assert counts[1] == pytest.approx(3_000, abs=300)
    stage.run(30)
    assert stage.series("RequestCount", stage.blue)[1] == pytest.approx(6_000, abs=400)


def test_nodes_report_apart_so_the_newest_minute_is_partial() -> None:
    stage = Stage(seed=3)
    stage.traffic(6_000, options=TrafficOptions(lag=10, lag_jitter=40))
    stage.run(121)
    seen = []
    for _ in range(60):
        seen.append(round(stage.series("RequestCount", stage.blue).get(1, 0.0)))
        stage.run(1)
    assert seen == sorted(seen)
    assert len(set(seen)) >= 3
    assert seen[-1] == pytest.approx(6_000, abs=400)
    assert seen[0] < 0.7 * seen[-1]


def test_metrics_may_be_minutes_late() -> None:
    stage = Stage()
    stage.traffic(600, options=TrafficOptions(lag=240, lag_jitter=0))
    stage.run(299)
    assert max(stage.series("RequestCount", stage.blue), default=-1) == 0
    stage.run(2)
    first = stage.series("RequestCount", stage.blue)[0]
    stage.run(600)
    assert stage.series("RequestCount", stage.blue)[0] == first == pytest.approx(600, abs=120)


def test_lateness_may_differ_from_report_to_report() -> None:
    stage = Stage()
    stage.traffic(600, options=TrafficOptions(lag=0, lag_jitter=240))
    stage.run(1_200)
    late = stage.series("RequestCount", stage.blue)
    stage.run(300)
    complete = stage.series("RequestCount", stage.blue)
    partial = [minute for minute, value in late.items() if value < complete[minute]]
    assert partial
    assert min(partial) >= 15
    assert all(value <= complete[minute] for minute, value in late.items())


# --- what it costs ---------------------------------------------------------------------------------------------------
def test_traffic_keeps_no_world_busy() -> None:
    stage = Stage()
    stage.traffic(600)
    assert stage.kernel.scheduler.run()
    assert stage.kernel.clock.elapsed == 0


def test_the_same_seed_makes_the_same_traffic() -> None:
    def run(seed: int) -> dict[int, float]:
        stage = Stage(seed)
        stage.traffic(600, Behaviour(errors_5xx=0.05), options=TrafficOptions())
        stage.run(300)
        return stage.series("HTTPCode_Target_5XX_Count", stage.blue) | stage.series(
            "TargetResponseTime", stage.blue, stat="p90"
        )

    assert run(1) == run(1) != run(2)


def test_what_a_canary_gets_moves_no_other_groups_counts() -> None:
    def blue(rate: float) -> dict[int, float]:
        stage = Stage()
        stage.weigh(50, 50)
        stage.traffic(600, Behaviour(errors_5xx=0.05), Behaviour(task_definition="web:2", errors_5xx=rate))
        stage.run(300)
        return stage.series("HTTPCode_Target_5XX_Count", stage.blue)

    assert blue(0.0) == blue(0.5)


def test_a_start_within_a_minute_makes_a_part_of_that_minute() -> None:
    stage = Stage(start=START + timedelta(seconds=40.5))
    stage.traffic(6_000)
    stage.run(120)
    counts = list(stage.series("RequestCount", stage.blue).values())
    assert counts[0] == pytest.approx(1_950, abs=200)
    assert counts[1] == pytest.approx(6_000, abs=400)


@pytest.mark.long
def test_a_day_of_two_services_takes_seconds() -> None:
    stage = Stage()
    stage.weigh(95, 5)
    streams = [Requests(name, stage.listener, 6_000) for name in ("one", "two")]
    stage.traffic(0, Behaviour(errors_5xx=0.005, errors_4xx=0.02), requests=streams)
    before = time.process_time()
    stage.run(86_400)
    assert time.process_time() - before < 10
    assert math.isclose(stage.total("RequestCount"), 2 * 6_000 * 1_440, rel_tol=0.01)
