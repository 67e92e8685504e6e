"""The benchmark's traffic: the same for the same seed, and disturbed as it says and no further."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields

import numpy as np
import pytest

from benchmarks.judge.cells import DISTURBANCES, Cell, Disturbance
from benchmarks.judge.feed import NEVER, Floats, Ints, Series
from benchmarks.judge.streams import BURST_MEAN, BURST_VARIANCE, HORIZON, PAST, STREAMS, Runs, Shown, simulate

RUNS = 60


def runs_of(disturbance: Disturbance, effect: str = "none", **more: float) -> Runs:
    values = {"rpm": 3_000.0, "base": 0.02, "share": 0.25, **more}
    return simulate(Cell(values["rpm"], values["base"], effect, values["share"], disturbance), RUNS, seed=11)


def series_of(shown: Shown) -> dict[str, Series]:
    return {"requests": shown.requests, "good": shown.good, "timed": shown.timed, **shown.errors}


def arrays_of(runs: Runs) -> list[Floats | Ints]:
    shown = [one for arm in (runs.canary, runs.baseline) for one in series_of(arm).values()]
    return [
        *(getattr(one, field.name) for one in shown for field in fields(one)),
        runs.served, runs.served_full, runs.asked, runs.zones.requests, *runs.zones.errors.values(),
    ]  # fmt: skip


@pytest.mark.parametrize("disturbance", DISTURBANCES)
def test_the_same_arguments_give_the_same_streams_and_others_others(disturbance: Disturbance) -> None:
    cell = Cell(300, 0.02, "3x", 0.25, disturbance)
    first, again = simulate(cell, 4, 1), simulate(cell, 4, 1)
    assert all(np.array_equal(one, other) for one, other in zip(arrays_of(first), arrays_of(again), strict=True))
    for other in (simulate(cell, 4, 2), simulate(cell, 4, 1, part=1), simulate(cell.null, 4, 1)):
        assert not np.array_equal(first.zones.errors["5xx"], other.zones.errors["5xx"])


@pytest.mark.parametrize("disturbance", ["independent", "bursts", "lag", "missing"])
def test_rates_and_traffic_are_what_the_cell_says(disturbance: Disturbance) -> None:
    runs = runs_of(disturbance, "3x")
    canary, baseline = series_of(runs.canary), series_of(runs.baseline)
    assert canary["requests"].final.mean() == pytest.approx(750, rel=0.01)
    assert baseline["requests"].final.mean() == pytest.approx(2_250, rel=0.01)
    assert runs.zones.requests[:, :PAST].sum(2).mean() == pytest.approx(3_000, rel=0.01)
    for name in STREAMS:
        usual = baseline[name].final.sum() / baseline["requests"].final.sum()
        assert usual == pytest.approx(0.02, rel=0.03)
        past = runs.zones.errors[name][:, :PAST].sum() / runs.zones.requests[:, :PAST].sum()
        assert past == pytest.approx(0.02, rel=0.03)
        effect = canary[name].final.sum() / canary["requests"].final.sum() / usual
        assert effect == pytest.approx(3.0 if name == "5xx" else 1.0, rel=0.06)


@pytest.mark.parametrize("disturbance", DISTURBANCES)
@pytest.mark.parametrize("base", [0.0, 0.005, 0.1])
def test_a_good_release_has_its_baselines_rate_in_every_minute(disturbance: Disturbance, base: float) -> None:
    """Also where a spell is cut off at its limit: else good releases would be convicted, and rightly."""
    runs = runs_of(disturbance, base=base, rpm=20_000.0)
    n_c, n_b = runs.canary.requests.final, runs.baseline.requests.final
    for name in STREAMS:
        x_c, x_b = runs.canary.errors[name].final, runs.baseline.errors[name].final
        share = n_c / (n_c + n_b)
        expected, variance = (x_c + x_b) * share, (x_c + x_b) * share * (1 - share)
        bursts = BURST_MEAN + BURST_VARIANCE / BURST_MEAN if disturbance == "bursts" else 1.0
        total = variance.sum()
        if base or disturbance == "common-mode":
            assert abs((x_c - expected).sum()) < 5 * np.sqrt(total * bursts)
            # Given the requests, too, errors vary by a part less that is their rate.
            assert 0.65 < ((x_c - expected) ** 2).sum() / (total * bursts) < 1.1
        else:
            assert total == 0


@pytest.mark.parametrize("effect", ["none", "3x"])
def test_common_mode_moves_both_arms_alike(effect: str) -> None:
    runs = runs_of("common-mode", effect, rpm=60_000.0, base=0.005)
    baseline = runs.baseline.errors["5xx"].final / runs.baseline.requests.final
    canary = runs.canary.errors["5xx"].final / runs.canary.requests.final
    assert baseline.max() > 10 * np.median(baseline)
    assert baseline.max() < 0.32
    calm = baseline < 0.02
    assert 0.6 < calm.mean() < 0.95
    ratio = canary[calm].sum() / baseline[calm].sum()
    assert ratio == pytest.approx(3.0 if effect == "3x" else 1.0, rel=0.03)
    assert np.corrcoef(np.log(canary[calm] + 1e-4), np.log(baseline[calm] + 1e-4))[0, 1] > 0.7


def test_a_spell_over_a_base_of_none_is_in_both_arms() -> None:
    runs = runs_of("common-mode", rpm=60_000.0, base=0.0)
    rates = [arm.errors["5xx"].final / arm.requests.final for arm in (runs.canary, runs.baseline)]
    for rate in rates:
        assert np.all((rate == 0) | (np.abs(rate - 0.02) < 0.006))
    assert np.array_equal(rates[0] > 0, rates[1] > 0)
    assert 0.1 < (rates[0] > 0).mean() < 0.4


def test_bursts_are_of_three_to_ten_on_one_zone() -> None:
    runs = runs_of("bursts", rpm=60.0, base=0.005)
    errors = runs.zones.errors["5xx"].ravel()
    single = errors[(errors > 0) & (errors < 6)]
    assert set(single) == {3.0, 4.0, 5.0}
    assert {6.0, 7.0, 8.0, 9.0, 10.0} <= set(errors)
    sizes = errors[(errors > 0) & (errors <= 10)]
    assert sizes.mean() == pytest.approx(BURST_MEAN, abs=0.25)
    assert sizes.var() == pytest.approx(BURST_VARIANCE, abs=0.5)


@pytest.mark.parametrize("rpm", [300.0, 60_000.0])
def test_a_count_of_bursts_varies_by_their_size_more_than_a_count_of_requests(rpm: float) -> None:
    """E[size^2] / E[size], for few bursts that are drawn one by one as for many that are drawn at once."""
    errors = runs_of("bursts", rpm=rpm).zones.errors["5xx"]
    expected = (BURST_MEAN**2 + BURST_VARIANCE) / BURST_MEAN
    assert errors[:, :PAST].var() / errors[:, :PAST].mean() == pytest.approx(expected, rel=0.06)
    alone = runs_of("lag", rpm=rpm).zones.errors["5xx"][:, :PAST]
    assert alone.var() / alone.mean() == pytest.approx(1.0, rel=0.05)


def test_every_datapoint_comes_up_to_four_minutes_late_on_its_own() -> None:
    runs = runs_of("lag")
    on_time = np.arange(1, HORIZON + 1)
    delays = {name: series.arrival - on_time for name, series in series_of(runs.canary).items()}
    for delay in delays.values():
        values, counts = np.unique(delay, return_counts=True)
        assert list(values) == [0, 1, 2, 3, 4]
        assert counts / delay.size == pytest.approx([0.2] * 5, abs=0.03)
    assert abs(np.corrcoef(delays["requests"].ravel(), delays["5xx"].ravel())[0, 1]) < 0.05
    assert np.array_equal(delays["timed"], delays["slow"])


@pytest.mark.parametrize("disturbance", ["independent", "common-mode", "bursts"])
def test_other_disturbances_show_everything_at_once(disturbance: Disturbance) -> None:
    runs = runs_of(disturbance)
    for arm in (runs.canary, runs.baseline):
        for series in series_of(arm).values():
            assert np.all(series.arrival == np.arange(1, HORIZON + 1))
            assert np.array_equal(series.first, series.final)


def test_what_is_lost_is_lost_whole_or_is_the_5xx_alone() -> None:
    runs = runs_of("missing")
    for arm in (runs.canary, runs.baseline):
        lost = {name: series.arrival == NEVER for name, series in series_of(arm).items()}
        assert lost["requests"].mean() == pytest.approx(0.05, abs=0.012)
        alone = lost["5xx"] & ~lost["requests"]
        assert alone.mean() == pytest.approx(0.03 * 0.95, abs=0.01)
        for name in ("good", "4xx", "slow", "timed"):
            assert np.array_equal(lost[name], lost["requests"])
        assert np.all(lost["5xx"] | ~lost["requests"])
    both = (runs.canary.requests.arrival == NEVER) & (runs.baseline.requests.arrival == NEVER)
    assert both.mean() < 0.01


def test_the_newest_minute_is_a_part_that_adds_up() -> None:
    runs = runs_of("missing")
    for arm in (runs.canary, runs.baseline):
        part = arm.requests.first / arm.requests.final
        assert part.min() > 0.2
        assert part.mean() == pytest.approx(0.65, abs=0.02)
        for series in series_of(arm).values():
            assert np.all(series.first <= series.final)
        parts = arm.good.first + arm.errors["5xx"].first + arm.errors["4xx"].first
        assert np.array_equal(parts, arm.requests.first)


def answers_add_up(runs: Runs) -> bool:
    arms = (runs.canary, runs.baseline)
    return all(
        np.array_equal(arm.good.final + arm.errors["5xx"].final + arm.errors["4xx"].final, arm.requests.final)
        and bool(np.all(arm.errors["slow"].final <= arm.timed.final))
        for arm in arms
    )


def zones_are_the_baseline(runs: Runs) -> bool:
    now = slice(PAST, PAST + HORIZON)
    return np.array_equal(runs.zones.requests[:, now].sum(2), runs.baseline.requests.final) and all(
        np.array_equal(runs.zones.errors[name][:, now].sum(2), runs.baseline.errors[name].final) for name in STREAMS
    )


@pytest.mark.parametrize("disturbance", DISTURBANCES)
@pytest.mark.parametrize("holds", [answers_add_up, zones_are_the_baseline])
@pytest.mark.parametrize("effect", ["none", "5x", "outage"])
def test_counts_belong_together(disturbance: Disturbance, holds: Callable[[Runs], bool], effect: str) -> None:
    assert holds(runs_of(disturbance, effect))


@pytest.mark.parametrize("disturbance", DISTURBANCES)
def test_a_dead_canary_shows_nothing_and_its_users_get_errors(disturbance: Disturbance) -> None:
    runs = runs_of(disturbance, "dead")
    for series in series_of(runs.canary).values():
        assert series.final.sum() == series.first.sum() == 0
        assert np.isnan(series.at(HORIZON)).all()
    assert np.array_equal(runs.served, runs.asked)
    assert runs.asked.mean() == pytest.approx(750, rel=0.05)


@pytest.mark.parametrize("disturbance", DISTURBANCES)
def test_an_outage_fails_every_request_and_all_of_them_after_a_promotion(disturbance: Disturbance) -> None:
    runs = runs_of(disturbance, "outage")
    assert np.array_equal(runs.served, runs.canary.requests.final)
    assert np.array_equal(runs.served_full, runs.served + runs.baseline.requests.final)


def test_a_look_shows_what_has_arrived_and_no_zero() -> None:
    series = Series(
        np.array([[5.0, 0.0, 7.0, 9.0]]), np.array([[1, 2, 5, 4]]), np.array([[4.0, 0.0, 6.0, 3.0]])
    )  # fmt: skip
    nan = np.nan
    for look, shown in {1: [4.0], 2: [5.0, nan], 3: [5.0, nan, nan], 4: [5.0, nan, nan, 3.0]}.items():
        np.testing.assert_array_equal(series.at(look)[0], shown)
    feed = runs_of("missing").feed
    view = feed.at(9)
    assert (feed.runs, feed.horizon, view.n_c.shape) == (RUNS, HORIZON, (RUNS, 9))
