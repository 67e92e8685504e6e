"""What the judge's evidence does not depend on."""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from types import FrameType

import pytest
from caretaker.releases.dispersion import zone_scatter
from caretaker.releases.judge import Case, judge
from caretaker.releases.model import Action, Arm, Minute, Rules, Verdict, Zone
from caretaker.releases.sequential import worse_than
from hypothesis import given, settings
from hypothesis import strategies as st
from release_cases import SILENT, arm, case, gains, history, release, zoned

RULES = Rules()
SAME = 1e-9
counts = st.integers(1, 500)
some = settings(derandomize=True, deadline=None, max_examples=10)


@st.composite
def arms(draw: st.DrawFn, least: int = 20, most: int = 400) -> Arm:
    requests = draw(st.integers(least, most))
    bad, refused, slow = (draw(st.integers(0, 4)) for _ in range(3))
    return arm(requests, bad, refused, slow)


pairs = st.lists(st.tuples(arms(), arms(200, 4_000)), min_size=1, max_size=25)


def evidence(verdict: Verdict) -> list[float]:
    return [stream.log_against for stream in verdict.streams]


def in_favour(verdict: Verdict) -> list[float]:
    return [stream.log_for for stream in verdict.streams]


def scaled(one: Arm, factor: int) -> Arm:
    """As many bad answers among `factor` times the requests."""
    requests = (one.requests or 0) * factor
    return arm(requests, one.errors_5xx, one.errors_4xx, one.slow)


def log_poisson(count: int, mean: float) -> float:
    return count * math.log(mean) - mean - math.lgamma(count + 1)


@settings(derandomize=True, deadline=None, max_examples=60)
@given(counts, st.integers(1, 5_000), st.integers(1, 25), st.sampled_from([0.3, 1.0, 3.0]), st.floats(1e-3, 30))
def test_a_rate_that_both_arms_share_is_not_in_the_law_that_is_bet_on(
    canary: int, baseline: int, total: int, rho: float, level: float
) -> None:
    """From Poisson counts at any common level to the canary's part, given the total: the binomial of the bets."""
    bets = worse_than(1.0)

    def gained(common: float) -> float:
        canary_mean, baseline_mean = common * rho * canary / baseline, common
        logs = [log_poisson(x, canary_mean) + log_poisson(total - x, baseline_mean) for x in range(total + 1)]
        joint = [math.exp(one - max(logs)) for one in logs]
        mean = 0.0
        for errors, chance in enumerate(joint):
            more = gains(bets, canary, errors, baseline, total - errors)
            mean += chance / sum(joint) * math.exp(more[5])
        return mean

    assert gained(level) == pytest.approx(gained(1.0), rel=1e-7)
    assert (gained(level) <= 1 + SAME) == (rho <= 1.0)


@some
@given(pairs, st.lists(st.integers(1, 9), min_size=25, max_size=25))
def test_traffic_and_rates_that_move_in_both_arms_alike_change_no_evidence(
    both: list[tuple[Arm, Arm]], factors: list[int]
) -> None:
    """The same errors among k times the requests in both arms, another k each minute: rates of a k-th in both."""
    moved = [(scaled(c, k), scaled(b, k)) for (c, b), k in zip(both, factors, strict=False)]
    as_it_was = judge(case(release(both)), RULES)
    assert evidence(judge(case(release(moved)), RULES)) == pytest.approx(evidence(as_it_was), abs=SAME)


Change = Callable[[Minute], Minute | None]
NOTHING_LEARNT: dict[str, Change] = {
    "no minute": lambda m: None,
    "no datapoint of the canary": lambda m: replace(m, canary=SILENT),
    "no datapoint of the baseline": lambda m: replace(m, baseline=SILENT),
    "no datapoint at all": lambda m: replace(m, canary=SILENT, baseline=SILENT),
    "no requests": lambda m: replace(m, canary=arm(0), baseline=arm(0)),
    "no errors": lambda m: replace(m, canary=arm(70), baseline=arm(900)),
}


@pytest.mark.parametrize("nothing", NOTHING_LEARNT)
@some
@given(pairs, st.sets(st.integers(0, 24), max_size=8))
def test_minutes_without_requests_or_without_errors_are_no_evidence_against(
    nothing: str, both: list[tuple[Arm, Arm]], where: set[int]
) -> None:
    """Which of them it is makes no difference: all leave the same evidence, that of the other minutes."""

    def with_nothing(change: Change) -> Verdict:
        kept = [change(m) if at in where else m for at, m in enumerate(release(both))]
        return judge(case([m for m in kept if m is not None], look=len(both)), RULES)

    usual, other = with_nothing(NOTHING_LEARNT["no minute"]), with_nothing(NOTHING_LEARNT[nothing])
    assert evidence(other) == pytest.approx(evidence(usual), abs=SAME)
    if nothing != "no errors":
        assert in_favour(other) == pytest.approx(in_favour(usual), abs=SAME)


@some
@given(pairs)
def test_good_minutes_speak_for_a_canary(both: list[tuple[Arm, Arm]]) -> None:
    before = judge(case(release(both)), RULES)
    longer = judge(case(release([*both, (arm(400), arm(4_000))])), RULES)
    assert all(more > less for more, less in zip(in_favour(longer)[:2], in_favour(before)[:2], strict=True))


@settings(some, max_examples=10)
@given(pairs, st.sets(st.integers(0, 24), min_size=1, max_size=6))
def test_a_look_is_no_different_for_what_earlier_looks_did_not_see(both: list[tuple[Arm, Arm]], late: set[int]) -> None:
    """Looks while some minutes are not whole yet, then one when they are: as if nobody had looked before."""
    complete = release(both)
    waiting = [replace(m, canary=replace(m.canary, good=m.canary.good - 1)) if at in late else m
               for at, m in enumerate(complete)]  # fmt: skip
    at_once = judge(case(complete), RULES)
    early = judge(case(waiting), RULES)
    assert judge(case(complete), RULES) == at_once
    assert early.used == at_once.used - len([at for at in late if at < len(both)])


@given(st.permutations([Zone(500, 3, 1, 500, 9), Zone(800, 0, 4, 790, 2), Zone(650, 8, 0, 650, 0), Zone(0)]))
@some
def test_the_order_of_zones_does_not_matter(zones: list[Zone]) -> None:
    counts = [float(zone.requests) for zone in zones], [float(zone.errors_5xx) for zone in zones]
    assert zone_scatter(*counts) == pytest.approx(zone_scatter([500, 800, 650, 0], [3, 0, 8, 0]))
    both = [(arm(90, 2, 1, 1), arm(1_950, 11, 5, 11))] * 8
    usual = Zone(500, 3, 1, 500, 9), Zone(800, 0, 4, 790, 2), Zone(650, 8, 0, 650, 0), Zone(0)
    past = history([arm(1_950, 11, 5, 11)] * 30)
    one = judge(case(zoned(release(both), tuple(zones)), past=zoned(past, tuple(zones))), RULES)
    other = judge(case(zoned(release(both), usual), past=zoned(past, usual)), RULES)
    assert [*evidence(one), *in_favour(one)] == pytest.approx([*evidence(other), *in_favour(other)], abs=SAME)
    assert one.stream("5xx").phi > 1


def test_a_minute_that_comes_apart_into_two_is_the_same_evidence() -> None:
    bets = worse_than(1.0)
    whole = gains(bets, 300, 7, 5_700, 9, phi=2.0)
    halves = [
        gains(bets, part, errors, 19 * part, others, phi=2.0) for part, errors, others in ((100, 6, 2), (200, 1, 7))
    ]
    assert whole == pytest.approx([sum(pair) for pair in zip(*halves, strict=True)])


def calls_of(look: Case, rules: Rules) -> Counter[str]:
    """How often each function is called in one look; the work of a call does not depend on the number of minutes."""
    calls: Counter[str] = Counter()

    def count(frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            calls[frame.f_code.co_name] += 1

    sys.setprofile(count)
    try:
        judge(look, rules)
    finally:
        sys.setprofile(None)
    return calls


def test_the_work_of_a_look_grows_with_its_minutes_and_no_faster() -> None:
    zones = (Zone(700, 4, 2, 700, 3), Zone(600, 2, 3, 600, 3), Zone(700, 3, 4, 700, 3))
    past = zoned(history([arm(2_000, 9, 9, 9)] * 185), zones)

    def day(minutes: int) -> Counter[str]:
        both = [(arm(100, at % 2, at % 3 // 2, at // 2 % 2), arm(2_000, 9, 9, 9)) for at in range(minutes)]
        look = case(zoned(release(both, weight=0.05), zones), past=past)
        assert judge(look, Rules(patience=1_440)).action is Action.PROMOTE
        return calls_of(look, Rules(patience=1_440))

    short, middle, long = day(360), day(720), day(1_440)
    assert long["fold"] == short["fold"] > 0
    for name in long:
        first, second = middle[name] - short[name], long[name] - middle[name]
        assert second <= 2.05 * first + 20, name
