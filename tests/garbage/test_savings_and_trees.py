"""What a sweep saves, and trees of who refers to whom."""

from __future__ import annotations

import pytest
from caretaker.garbage import savings, tree
from caretaker.garbage.model import Kind, Life, Word
from garbage_fleet import KEEP_NOTHING, Fleet, sharers


def test_the_last_sharer_saves_the_load_balancer_and_its_addresses() -> None:
    fleet, on, _ = sharers(Life.DEAD)
    fleet.fact(on.arn, addresses="198.51.100.7 198.51.100.8")
    lines = savings.monthly(fleet.judge().verdicts.values())
    assert lines[0].arn == on.arn
    assert lines[0].dollars == pytest.approx(730 * (0.0225 + 2 * 0.005))
    assert lines[0].why == "730 hours at $0.0225, 2 public IPv4 at $0.005 each"


def test_one_of_two_sharers_saves_nothing_of_the_load_balancer_and_says_why() -> None:
    fleet, on, _ = sharers(Life.DEAD, Life.ALIVE)
    lines = {line.arn: line for line in savings.monthly(fleet.judge().verdicts.values())}
    assert lines[on.arn].dollars == 0
    assert "it stays: shared: service default/web-api lives" in lines[on.arn].why


def test_alarms_cost_by_metric_and_logs_by_gigabyte_only_if_they_go() -> None:
    fleet, _, (web, _) = sharers(Life.DEAD, Life.ALIVE)
    assert savings.total(savings.monthly(fleet.judge().verdicts.values())) == pytest.approx(0.1 * (1 + 1 + 4))
    lines = {line.arn: line for line in savings.monthly(fleet.judge(KEEP_NOTHING).verdicts.values())}
    assert lines[web.logs].dollars == pytest.approx(0.03 * 10**9 / 1024**3)


def test_nothing_is_saved_where_nothing_goes() -> None:
    fleet, _, _ = sharers(Life.ALIVE)
    lines = savings.monthly(fleet.judge().verdicts.values())
    assert savings.total(lines) == 0
    assert savings.told(()) == ()
    assert savings.told(lines)[-1].startswith("$0.00 a month in all, by list prices of US East")


def shown(fleet: Fleet, arn: str) -> list[str]:
    judged = fleet.judge()
    return ["  " * line.depth + line.text for line in tree.lines(arn, judged.graph, judged.verdicts)]


def test_a_tree_shows_who_holds_first_and_cuts_circles() -> None:
    fleet, on, (_web, _shop) = sharers(Life.DEAD, Life.ALIVE)
    mine = fleet.security_group("mine")
    fleet.allow(mine, on.group, "ingress")
    lines = shown(fleet, on.group)
    assert lines[0].startswith("security group alb-sg: shared: service default/web-api lives")
    assert sum("(shown above)" in line for line in lines) >= 2
    assert any("of security group mine" in line and line.startswith("  s") for line in lines)
    assert len(lines) < tree.MOST


def test_a_tree_tells_for_whom_a_referrer_is_and_what_becomes_of_it() -> None:
    fleet, _, (web, shop) = sharers(Life.DEAD, Life.ALIVE)
    lines = shown(fleet, shop.groups[0])
    assert any("the active revision has it, for service default/web-api" in line for line in lines)
    assert any(line.endswith("forwards to it with weight 0 [garbage]") for line in shown(fleet, web.groups[1]))


def test_a_large_tree_says_how_much_it_leaves_out() -> None:
    fleet, on, _ = sharers(Life.ALIVE)
    for number in range(300):
        fleet.refer(f"theirs-{number}", Kind.TASK, on.arn, "uses it")
    lines = shown(fleet, on.arn)
    assert len(lines) == tree.MOST + 1
    assert lines[-1].strip().startswith("and 1")


def test_a_resource_that_was_not_observed_has_no_tree() -> None:
    fleet, _, _ = sharers(Life.ALIVE)
    judged = fleet.judge()
    with pytest.raises(KeyError):
        tree.lines("arn:none", judged.graph, judged.verdicts)


def test_each_service_is_shown_with_what_it_has_left_the_dead_first() -> None:
    fleet, on, (web, shop) = sharers(Life.ALIVE, Life.DEAD)
    fleet.remove(shop.groups[0])
    judged = fleet.judge()
    trees = tree.services(judged.graph, judged.verdicts)
    assert [each.owner.identity for each in trees] == [shop.identity, web.identity]
    by_arn = {line.arn: line for line in trees[0].lines}
    assert by_arn[shop.groups[0]].text.endswith(": gone")
    assert by_arn[shop.rule].word is Word.GARBAGE
    assert by_arn[on.arn].text.startswith("shared load balancer")
    assert {line.arn for line in trees[0].lines[-3:]} == {on.group, on.listener, on.arn}
