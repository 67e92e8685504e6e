"""Looks at releases: what is rolled back, promoted, continued or left to a person, and in which words."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from random import Random

import pytest
from caretaker.releases.counting import fold, rows_of, totals
from caretaker.releases.dispersion import UNSEEN
from caretaker.releases.judge import Case, expected_traffic, judge
from caretaker.releases.model import Action, Arm, Basis, Check, Minute, Rules, Signs, StreamRule, Verdict, Zone
from caretaker.releases.sample import announce
from caretaker.releases.sequential import log_mixture, worse_than
from release_cases import MINUTE, SILENT, STARTED, arm, case, history, minute, release, zoned

RULES = Rules()
GOOD = (arm(100), arm(1_900))


def looks(minutes: Sequence[Minute], rules: Rules = RULES, past: Sequence[Minute] = ()) -> Iterator[Verdict]:
    """One look after each minute, with what was known then."""
    for look in range(1, len(minutes) + 1):
        yield judge(case(minutes[:look], look, past), rules)


def decided(minutes: Sequence[Minute], rules: Rules = RULES, past: Sequence[Minute] = ()) -> Verdict:
    """The first verdict that ends the release, or the last one."""
    verdict = next(iter(looks(minutes, rules, past)))
    for verdict in looks(minutes, rules, past):
        if verdict.action is not Action.CONTINUE:
            break
    return verdict


def check(verdict: Verdict, name: str) -> Check:
    return next(one for one in verdict.checks if one.name == name)


def poisson(rng: Random, mean: float) -> int:
    """A Poisson count, by thinning of a thousand chances for small means."""
    return sum(rng.random() < mean / 1_000 for _ in range(1_000))


def traffic(seed: int, minutes: int, canary_rate: float, base: float = 0.005, per_minute: int = 300) -> list[Minute]:
    """Seeded minutes at a share of 5 %."""
    rng = Random(seed)
    others = 19 * per_minute
    return release(
        (
            (
                arm(per_minute, min(per_minute, poisson(rng, per_minute * canary_rate))),
                arm(others, poisson(rng, others * base)),
            )
            for _ in range(minutes)
        ),
        weight=0.05,
    )


# Errors


def test_a_rollback_says_what_was_counted_and_when() -> None:
    errors = [(6, 4), (7, 3), (6, 4), (8, 4), (7, 3), (7, 4)]
    requests = [(503, 9_566), (503, 9_566), (503, 9_567), (503, 9_567), (504, 9_567), (504, 9_567)]
    arms = [(arm(n_c, x_c), arm(n_b, x_b)) for (n_c, n_b), (x_c, x_b) in zip(requests, errors, strict=True)]
    verdict = judge(case(release(arms)), RULES)
    assert verdict.action is Action.ROLL_BACK
    assert verdict.reason.startswith("5xx 41 of 3,020 against 22 of 57,400: 35 times the odds, after 6 min (evidence ")
    assert "the line is 100 to 1" in verdict.reason
    assert (verdict.look, verdict.used, verdict.basis) == (6, 6, "beside")
    stream = verdict.stream("5xx")
    assert (stream.canary_errors, stream.canary_requests) == (41, 3_020)
    assert (stream.baseline_errors, stream.baseline_requests) == (22, 57_400)
    assert stream.ratio == pytest.approx(41 / 22 * 57_400 / 3_020)


def test_an_outage_is_found_at_three_canary_requests_a_minute() -> None:
    verdict = decided(release([(arm(3, 3), arm(57))] * 30))
    assert verdict.action is Action.ROLL_BACK
    assert verdict.look <= 5
    assert "errors in the canary alone" in verdict.reason


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_three_times_the_errors_are_rolled_back(seed: int) -> None:
    verdict = decided(traffic(seed, 40, 0.015))
    assert verdict.action is Action.ROLL_BACK
    assert verdict.reason.startswith("5xx ")


@pytest.mark.parametrize(("stream", "bad"), [("4xx", {"errors_4xx": 8}), ("slow", {"slow": 8})])
def test_each_stream_can_roll_back_by_itself(stream: str, bad: dict[str, int]) -> None:
    verdict = decided(release([(arm(200, **bad), arm(3_800, 8, 8, 8))] * 30))
    assert verdict.action is Action.ROLL_BACK
    assert verdict.reason.startswith(f"{stream} ")


def test_a_few_errors_over_a_base_of_none_are_rolled_back() -> None:
    """Judges that compare distributions pass these: Kayenta's issue 426."""
    quiet, failing = (arm(100), arm(1_900)), (arm(100, 2), arm(1_900))
    verdict = decided(release([quiet, failing, quiet, failing, failing, quiet, failing]))
    assert verdict.action is Action.ROLL_BACK
    assert "against 0 of " in verdict.reason


def test_one_error_over_a_base_of_none_is_not_rolled_back() -> None:
    verdict = judge(case(release([GOOD, (arm(100, 1), arm(1_900)), *[GOOD] * 5])), RULES)
    assert verdict.action is Action.CONTINUE


def test_slow_requests_of_the_warm_up_are_left_out() -> None:
    cold = [(arm(100, slow=40), arm(1_900, slow=9))] * 2
    warm = [(arm(100, slow=at % 2), arm(1_900, slow=9)) for at in range(9)]
    verdict = judge(case(release([*cold, *warm])), RULES)
    assert verdict.action is not Action.ROLL_BACK
    stream = verdict.stream("slow")
    assert (stream.canary_errors, stream.canary_requests) == (4, 900)
    eager = replace(RULES, streams={**RULES.streams, "slow": replace(RULES.streams["slow"], warm_up=0)})
    assert judge(case(release([*cold, *warm])), eager).action is Action.ROLL_BACK


# Promotion, and too little to tell


def test_a_good_release_is_promoted_after_its_bake_and_not_before() -> None:
    verdicts = list(looks(traffic(7, 12, 0.005, per_minute=2_000)))
    assert {verdict.action for verdict in verdicts[: RULES.bake - 1]} == {Action.CONTINUE}
    assert verdicts[4].reason == "5 of 10 minutes of bake to go"
    assert verdicts[RULES.bake - 1].action is Action.PROMOTE
    assert verdicts[RULES.bake - 1].reason.startswith("ruled out: 5xx 3 times; 4xx 3 times; slow 3 times. 5xx ")
    assert not verdicts[RULES.bake - 1].needs


def test_no_errors_at_all_are_promoted_once_enough_requests_rule_out_a_rate_that_matters() -> None:
    """From there on a rate of `ignorable` or more would have shown an error with a probability of 99 %."""
    verdict = decided(release([GOOD] * 60))
    assert verdict.action is Action.PROMOTE
    least = math.log(0.01) / math.log(1 - RULES.streams["5xx"].ignorable)
    assert least <= verdict.stream("5xx").canary_requests <= 2 * least


def test_too_little_traffic_is_inconclusive_and_says_what_it_lacks() -> None:
    verdict = decided(release([(arm(2), arm(40))] * 60))
    assert (verdict.action, verdict.look) == (Action.INCONCLUSIVE, RULES.patience)
    assert verdict.reason.startswith("not enough evidence after 60 minutes: 5xx 0 of 120 against 0 of 2,400")
    assert "3 times is not ruled out: that takes about" in verdict.reason
    assert "canary requests" in verdict.reason
    assert "more (" in verdict.reason
    assert verdict.needs[0] in verdict.reason


def test_the_sample_that_is_named_suffices() -> None:
    few = judge(case(release([(arm(20), arm(380))] * 10)), RULES)
    words = next(need for need in few.needs if need.startswith("4xx"))
    needed = int(words.split("takes about ")[1].split(" ")[0].replace(",", ""))
    enough = -(-needed // 20) + RULES.streams["slow"].warm_up
    assert judge(case(release([(arm(20), arm(380))] * enough)), RULES).action is Action.PROMOTE
    assert judge(case(release([(arm(20), arm(380))] * (enough // 2))), RULES).action is not Action.PROMOTE


def test_no_data_is_not_health() -> None:
    verdict = judge(case([], look=60), RULES)
    assert verdict.action is Action.INCONCLUSIVE
    assert any("cannot be without requests in both" in need for need in verdict.needs)
    assert verdict.used == 0


@pytest.mark.parametrize("silent", ["canary", "baseline"])
def test_an_arm_without_requests_is_never_promoted(silent: str) -> None:
    verdict = decided(release([(SILENT, arm(9)) if silent == "canary" else (arm(900), SILENT)] * 60))
    assert verdict.action is Action.INCONCLUSIVE


def test_suspicion_holds_a_promotion() -> None:
    """Errors that neither convict nor could be told from bad luck: what would be promoted without them waits."""
    clean = [(arm(4_000, 20, 0), arm(76_000, 380, 0))] * 11
    worse = [(arm(4_000, 20, 0), arm(76_000, 380, 0))] * 8 + [(arm(4_000, 38, 0), arm(76_000, 380, 0))] * 3
    assert judge(case(release(clean)), RULES).action is Action.PROMOTE
    verdict = judge(case(release(worse)), RULES)
    assert verdict.line / 2 <= verdict.log_against < verdict.line
    assert verdict.stream("5xx").log_for > -math.log(RULES.alpha_promote)
    assert verdict.action is Action.CONTINUE
    assert verdict.reason.startswith("under suspicion: 5xx ")


def test_suspicion_names_the_check_that_raised_it() -> None:
    minutes = release([(arm(400), arm(7_600))] * 10 + [(SILENT, arm(7_600))] * 4, weight=0.05)
    verdict = judge(case(minutes, look=len(minutes) + RULES.settle), RULES)
    assert verdict.line / 2 <= verdict.log_against < verdict.line
    assert any(need.startswith("under suspicion: share of requests ") for need in verdict.needs)


def test_a_release_that_turns_bad_late_is_not_protected_by_its_good_record() -> None:
    """Bets from the beginning alone have lost most of their capital by then, and must win it back first."""
    onset, saved = 40, []
    for seed in range(4):
        good, bad = traffic(seed, onset, 0.005), traffic(seed + 50, 40, 0.025)
        minutes = [*good, *(replace(m, start=m.start + onset * MINUTE) for m in bad)]
        verdict = decided(minutes, Rules(bake=120, patience=120))
        assert verdict.action is Action.ROLL_BACK
        assert onset < verdict.look <= onset + 10
        saved.append(look_of_bets_from_the_beginning(minutes) - verdict.look)
    assert min(saved) >= 0
    assert sum(saved) >= len(saved)


def look_of_bets_from_the_beginning(minutes: Sequence[Minute]) -> int:
    """When the 5xx of a release would convict it if all their capital were bet at its start."""
    bets, ones = worse_than(1.0), [1.0] * len(minutes)
    for look in range(1, len(minutes) + 1):
        gained = totals(fold(rows_of(minutes[:look], "5xx", STARTED, ones), bets, look))
        if log_mixture(gained, bets.log_prior) + math.log(RULES.streams["5xx"].capital) >= -math.log(RULES.alpha):
            return look
    return len(minutes) + 1


# What CloudWatch shows, and when


def test_a_minute_whose_statuses_do_not_add_up_waits_and_counts_when_they_do() -> None:
    late = Arm(requests=100, good=70, timed=100)
    minutes = release([GOOD, GOOD, (late, arm(1_900))])
    waiting = judge(case(minutes), RULES)
    assert waiting.action is Action.CONTINUE
    assert (waiting.used, waiting.stream("5xx").canary_requests) == (2, 200)
    minutes[2] = replace(minutes[2], canary=replace(late, errors_5xx=30))
    there = judge(case(minutes, look=5), RULES)
    assert (there.used, there.stream("5xx").canary_errors, there.action) == (3, 30, Action.ROLL_BACK)


def test_requests_without_a_datapoint_of_errors_have_none() -> None:
    stream = judge(case(release([(Arm(requests=100, good=100), Arm(requests=1_900, good=1_900))])), RULES).stream("5xx")
    assert (stream.canary_errors, stream.canary_requests, stream.baseline_requests) == (0, 100, 1_900)
    assert stream.ratio is None
    assert stream.words.endswith("no errors in either")


def test_minutes_in_which_an_arm_had_no_requests_are_not_used() -> None:
    minutes = release([GOOD, (arm(0), arm(1_900)), (SILENT, arm(1_900)), (arm(100), arm(0)), GOOD])
    assert judge(case(minutes), RULES).used == 2


def test_minutes_that_never_add_up_hold_a_promotion() -> None:
    open_account = (arm(400), Arm(requests=7_600, good=7_000, timed=7_600))
    verdict = judge(case(release([(arm(400), arm(7_600)) if at % 3 else open_account for at in range(30)])), RULES)
    assert verdict.action is Action.CONTINUE
    assert verdict.reason == (
        "9 of 25 minutes left out, since answers by status do not add up to requests (canary 0, baseline 9)"
    )


# Requests that do not come


def test_a_dead_canary_is_found_by_its_share_at_three_requests_a_minute() -> None:
    minutes = release([(SILENT, arm(57))] * 20, weight=0.05)
    verdict = decided(minutes)
    assert verdict.action is Action.ROLL_BACK
    assert verdict.look <= 12
    assert verdict.reason.startswith("share of requests 0.00% where the weights say 5.00% (0 of ")


def test_a_canary_that_dies_after_a_good_hour_is_found() -> None:
    minutes = release([GOOD] * 60 + [(SILENT, arm(1_900))] * 15, weight=0.05)
    verdict = judge(case(minutes), Rules(bake=120, patience=120))
    assert verdict.action is Action.ROLL_BACK
    assert verdict.reason.startswith("share of requests ")


@pytest.mark.parametrize("lost", [{0}, {4}, {10}, {0, 1}, {3, 11}])
def test_lost_datapoints_of_a_busy_canary_do_not_convict(lost: set[int]) -> None:
    arms = [(SILENT if at in lost else arm(3_000, 15), arm(57_000, 285)) for at in range(30)]
    for verdict in looks(release(arms, weight=0.05)):
        assert verdict.action is not Action.ROLL_BACK


def test_the_newest_minutes_may_lack_their_requests() -> None:
    late = [(SILENT, arm(1_900))] * RULES.settle
    verdict = judge(case(release([*[GOOD] * 10, *late], weight=0.05)), RULES)
    assert check(verdict, "share").log_against <= 0


def test_a_surplus_share_holds() -> None:
    verdict = judge(case(release([(arm(1_000), arm(3_000))] * 30, weight=0.05)), RULES)
    assert verdict.action is Action.CONTINUE
    assert verdict.reason == "share of requests 25.00% where the weights say 5.00% (25,000 of 100,000)"


def test_a_share_without_an_intention_is_not_judged() -> None:
    verdict = judge(case(release([(arm(1_000), arm(3_000))] * 30)), RULES)
    assert verdict.action is Action.PROMOTE
    assert check(verdict, "share").words == "share of requests not known yet"


def test_refused_connections_convict() -> None:
    minutes = release([(arm(40, connection_errors=20), arm(1_900, connection_errors=1))] * 15)
    verdict = decided(minutes)
    assert verdict.action is Action.ROLL_BACK
    assert verdict.look <= RULES.settle + 2
    assert verdict.reason.startswith("connections refused ")


def test_a_canary_that_refuses_every_connection_has_no_requests_and_is_convicted() -> None:
    verdict = decided(release([(Arm(connection_errors=9), arm(171))] * 15))
    assert verdict.action is Action.ROLL_BACK
    assert verdict.reason.startswith("connections refused 18 of 18 against 0 of 342, after 7 min (evidence ")


def test_one_burst_of_refused_connections_does_not_convict() -> None:
    quiet = [(arm(9), arm(171))] * 4
    verdict = decided(release([*quiet, (Arm(9, 9, connection_errors=8), arm(171)), *quiet, *quiet]))
    assert verdict.action is Action.CONTINUE


# Plain facts


def test_targets_that_never_get_healthy_convict() -> None:
    dead = (Arm(healthy=0, unhealthy=2), arm(1_900))
    verdicts = list(looks(release([dead] * 3)))
    assert [verdict.action for verdict in verdicts] == [Action.CONTINUE, Action.CONTINUE, Action.ROLL_BACK]
    assert verdicts[-1].reason == "no healthy target in the canary's target group for 3 minutes, after 3 min"


def test_one_healthy_minute_in_between_does_not_convict_but_an_unhealthy_target_holds() -> None:
    dead, alive = arm(400, healthy=0, unhealthy=2), arm(400, healthy=1, unhealthy=1)
    minutes = release([(one, arm(7_600)) for one in [alive] * 8 + [dead, dead, alive, dead, alive]])
    verdict = judge(case(minutes), RULES)
    assert verdict.action is Action.CONTINUE
    assert verdict.reason == "1 unhealthy target in the canary's target group"
    healed = release([*[(m.canary, m.baseline) for m in minutes], (arm(400, healthy=2), arm(7_600))])
    assert judge(case(healed), RULES).action is Action.PROMOTE


def test_stopped_tasks_hold_and_then_convict() -> None:
    minutes = release([(arm(400), arm(7_600))] * 12)
    why = ("Essential container in task exited",)
    held = judge(case(minutes, signs=Signs(1, why)), RULES)
    assert held.action is Action.CONTINUE
    assert held.reason == "1 task of the new revision stopped: Essential container in task exited"
    gone = judge(case(minutes, signs=Signs(RULES.fatal_stops, why)), RULES)
    assert gone.action is Action.ROLL_BACK
    assert gone.reason == "3 tasks of the new revision stopped: Essential container in task exited, after 12 min"


def test_the_balancers_own_5xx_hold_a_promotion_and_never_roll_back() -> None:
    past = history([arm(8_000)] * 185)
    minutes = [replace(m, balancer_5xx=3_000) for m in release([(arm(400), arm(7_600))] * 60)]
    for verdict in looks(minutes[:16], past=past):
        assert verdict.action is Action.CONTINUE
    last = judge(case(minutes, past=past), RULES)
    assert last.action is Action.INCONCLUSIVE
    assert check(last, "balancer 5xx").effect == "hold"
    usual = [replace(m, balancer_5xx=2) for m in past]
    same = [replace(m, balancer_5xx=2) for m in minutes]
    assert judge(case(same, past=usual), RULES).action is Action.PROMOTE


@pytest.mark.parametrize("basis", ["beside", "before"])
def test_the_balancers_own_5xx_are_those_of_the_requests_that_it_had(basis: Basis) -> None:
    """The past stands in for the baseline of a comparison with it, but the balancer did not have its requests again."""
    past = [replace(m, balancer_5xx=20) for m in history([arm(8_000)] * 185)]
    arms = (arm(400), arm(7_600)) if basis == "beside" else (arm(8_000), SILENT)
    minutes = [replace(m, balancer_5xx=80) for m in release([arms] * 30)]
    found = check(judge(case(minutes, past=past, basis=basis), RULES), "balancer 5xx")
    assert found.effect == "hold"
    assert found.words.startswith("the load balancer's own 5xx 2,000 of 202,000 requests against 1,600 of ")


# The time before


def test_a_comparison_with_the_time_before_is_labelled() -> None:
    past = history([arm(1_000, 5)] * 185)
    verdict = judge(case(release([(arm(1_000, 100), SILENT)] * 5), past=past, basis="before"), RULES)
    assert (verdict.action, verdict.basis) == (Action.ROLL_BACK, "before")
    assert " in the time before: 20 times the odds" in verdict.reason
    assert "weaker, since nothing ran beside it" in verdict.reason


def test_the_time_before_has_wider_limits() -> None:
    worse = [(arm(1_000, 7), arm(1_000, 5))] * 60
    assert judge(case(release([(c, arm(20_000, 100)) for c, _ in worse])), RULES).log_against > math.log(100)
    past = history([arm(1_000, 5)] * 185)
    verdict = judge(case(release([(c, SILENT) for c, _ in worse]), past=past, basis="before"), RULES)
    assert verdict.log_against < 0
    assert verdict.stream("5xx").canary_errors == 420


def test_no_minute_of_the_past_is_used_twice() -> None:
    """Each has another count, and the release as many minutes as it may have: every one is there once."""
    counts = [1_000 + at for at in range(185)]
    past = history(arm(count) for count in counts)
    minutes = release([(arm(1_000), SILENT)] * RULES.patience)
    assert judge(case(minutes, past=past, basis="before"), RULES).stream("5xx").baseline_requests == sum(counts)
    longer = release([(arm(1_000), SILENT)] * (RULES.patience + 20))
    stream = judge(case(longer, past=past, basis="before"), RULES).stream("5xx")
    assert (stream.baseline_requests, stream.canary_requests) == (sum(counts), 1_000 * RULES.patience)


def test_a_past_that_arrives_late_does_not_move_the_rest_of_it_to_other_minutes() -> None:
    past = history([arm(1_000, at % 7) for at in range(185)])
    minutes = release([(arm(1_000, 3), SILENT)])
    known = judge(case(minutes, past=past, basis="before"), RULES).stream("5xx")
    gap = judge(case(minutes, past=[m for at, m in enumerate(past) if at != 90], basis="before"), RULES).stream("5xx")
    assert abs(known.baseline_errors - gap.baseline_errors) <= 6
    assert (known.baseline_requests - gap.baseline_requests) in (0, 1_000)
    assert (known.baseline_errors == gap.baseline_errors) == (known.baseline_requests == gap.baseline_requests)


def test_a_service_whose_rate_moves_by_time_of_day_is_not_convicted_as_easily() -> None:
    def evidence(errors: Sequence[int]) -> float:
        past = history(arm(1_000, bad) for bad in errors)
        return judge(case(release([(arm(1_000, 20), SILENT)] * 20), past=past, basis="before"), RULES).log_against

    steady, tides = [8] * 185, [round(8 + 7 * math.sin(at / 29)) for at in range(185)]
    assert sum(tides) == pytest.approx(sum(steady), rel=0.1)
    assert evidence(steady) > math.log(100) > evidence(tides) > -5


def test_answers_that_never_added_up_are_no_news_in_a_comparison_with_the_time_before() -> None:
    """Half of all minutes lack a status, before the release as in it."""
    gap = Arm(requests=1_000, good=900, timed=1_000)
    rng = Random(5)
    past = history(gap if rng.random() < 0.5 else arm(1_000, 2) for _ in range(185))
    minutes = release([(gap if rng.random() < 0.5 else arm(1_000, 2), SILENT) for _ in range(60)])
    for look in (20, 40, 60):
        assert judge(case(minutes[:look], past=past, basis="before"), RULES).action is not Action.ROLL_BACK


# Beforehand


def test_what_a_release_will_take_is_said_from_its_history() -> None:
    zones = (Zone(500, 3, 0, 500, 1), Zone(500, 2, 0, 500, 2))
    past = zoned(history([arm(1_000, 5, slow=3)] * 185), zones)
    expected = expected_traffic(past, RULES, 0.05)
    assert expected.requests_per_minute == 1_000
    assert expected.base_rates == {"5xx": 0.005, "4xx": 0.0, "slow": 0.003}
    assert expected.phi["5xx"] < 1.05
    assert expected.phi["4xx"] == UNSEEN
    assert expected.low_rates["5xx"] < 0.005
    words = [need.words for need in announce(expected, RULES)]
    assert words[0].startswith("5xx: 2 times the baseline's 0.500% takes ")
    assert any(one.startswith("4xx: an outage takes ") for one in words)
    assert sum("a promotion takes " in one for one in words) == 3


# What is refused


def at(*indexes: int) -> list[Minute]:
    return [minute(index, *GOOD) for index in indexes]


@pytest.mark.parametrize(
    ("minutes", "past", "look", "words"),
    [
        (at(1, 0), [], 2, "minutes: 2026-03-01T12:00:00+00:00 comes after 2026-03-01T12:01:00+00:00"),
        (at(0, 0), [], 2, "minutes: 2026-03-01T12:00:00+00:00 comes after 2026-03-01T12:00:00+00:00"),
        ([], at(-1, -2), 2, "history: 2026-03-01T11:58:00+00:00 comes after 2026-03-01T11:59:00+00:00"),
        ([], at(-1, 0), 2, "history: 2026-03-01T12:00:00+00:00 is not before 2026-03-01T12:00:00+00:00"),
        (at(-1), [], 2, "minutes: 2026-03-01T11:59:00+00:00 is before 2026-03-01T12:00:00+00:00"),
        (at(0, 1), [], 1, "minutes: 2026-03-01T12:01:00+00:00 is not over at 2026-03-01T12:01:00+00:00"),
    ],
)
def test_a_case_out_of_order_is_refused(minutes: list[Minute], past: list[Minute], look: int, words: str) -> None:
    with pytest.raises(ValueError, match=words.replace("+", r"\+")):
        Case(minutes, past, STARTED, STARTED + look * MINUTE)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"alpha": 0.0}, "alpha must be between 0 and 1, not 0.0"),
        ({"alpha_promote": 1.0}, "alpha_promote must be between 0 and 1, not 1.0"),
        ({"capital_share": 0.4}, "the parts of the capital must not sum to more than 1, but to 1.3"),
        ({"bake": 0}, "bake must be between 1 and patience"),
        ({"bake": 90}, r"bake must be between 1 and patience \(60\), not 90"),
        ({"streams": {"5xx": StreamRule(0.5, tolerated=2.9)}}, r"5xx: tolerated \(2.9\) must be well below bad \(3\)"),
        ({"streams": {"slow": StreamRule(0.5, ignorable=1.0)}}, "slow: ignorable must be between 0 and 1, not 1"),
        ({"capital_share": -0.2, "capital_success": 0.3}, "capital_share must be at least 0, not -0.2"),
        ({"streams": {"4xx": StreamRule(-0.1)}}, "4xx: capital must be above 0 and at most 1, not -0.1"),
        ({"streams": {"4xx": StreamRule(0.1, tolerated=0.2, bad=0.3)}}, "4xx: bad must be above 1, not 0.3"),
        ({"streams": {}}, "streams must name at least one stream"),
        ({"settle": -1}, "settle must be at least 0, not -1"),
        ({"capital_share": math.nan}, "capital_share must be at least 0, not nan"),
        ({"fatal_stops": 0}, "fatal_stops must be at least 1, not 0"),
        ({"fatal_unhealthy": 0}, "fatal_unhealthy must be at least 1, not 0"),
        ({"before_tolerated": 0.0}, "before_tolerated must be at least 1, not 0"),
    ],
)
def test_rules_whose_promises_would_not_hold_are_refused(changes: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Rules(**changes)  # type: ignore[arg-type]


# What the reviewers broke


def test_silence_after_a_good_start_is_no_promotion() -> None:
    minutes = release([(arm(150, 1), arm(2_850, 15))] * 30)
    quiet = [minute(index, SILENT, SILENT, 0.05) for index in range(30, 60)]
    verdict = judge(case([*minutes, *quiet]), replace(RULES, bake=10))
    assert verdict.action is Action.INCONCLUSIVE
    assert "0 canary requests with a control in the last 10 settled minutes" in verdict.reason


def test_a_past_that_is_used_up_promotes_nothing() -> None:
    past = history([arm(1_000, 5)] * 185)
    after = release([(arm(1_000, 5), SILENT)] * 300)
    verdict = judge(case(after, past=past, basis="before"), replace(RULES, patience=300))
    assert verdict.action is Action.INCONCLUSIVE
    assert "settled minutes" in verdict.reason


def test_a_few_unanswered_requests_in_every_minute_do_not_blind_it() -> None:
    bad = Arm(3_000, 2_400, 0, 600, timed=3_000)
    usual = Arm(57_000, 56_999, timed=57_000)
    verdict = decided(release([(bad, usual)] * 10))
    assert verdict.action is Action.ROLL_BACK
    assert verdict.reason.startswith("5xx 600 of 3,000 against 1 of 57,000: ")


def test_unanswered_requests_count_against_whoever_would_gain_by_them() -> None:
    gap = release([(Arm(1_000, 960, timed=1_000), Arm(9_000, 8_910, timed=9_000))] * 60)
    finding = judge(case(gap), RULES).stream("5xx")
    assert finding.log_against <= 0
    assert finding.log_for < 0


def test_without_zones_errors_count_as_if_in_bursts() -> None:
    both = release([(arm(300, 9), arm(5_700, 30))] * 10)
    told = judge(case(both), RULES)
    untold = judge(case([replace(one, zones=()) for one in both]), RULES)
    assert untold.stream("5xx").phi == UNSEEN
    assert untold.stream("5xx").log_against < told.stream("5xx").log_against / 3
    assert any("no two Availability Zones seen" in check.words for check in untold.checks)


def test_a_case_has_a_time_zone() -> None:
    naive = STARTED.replace(tzinfo=None)
    with pytest.raises(ValueError, match="must have a time zone"):
        Case((), (), naive, naive)


def test_a_minute_counts_once() -> None:
    twice = [minute(0, *GOOD), replace(minute(0, *GOOD), start=STARTED + timedelta(seconds=20))]
    with pytest.raises(ValueError, match="comes after"):
        Case(twice, (), STARTED, STARTED + timedelta(minutes=2))
