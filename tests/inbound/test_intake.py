"""Intake from the queue's batch to claims and executions."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from caretaker.aws.errors import AwsFailure
from caretaker.runtime import claims, journal, waits
from caretaker.runtime.table import Table
from inbound_stage import CLUSTER, H1, H2, H3, H4, NOW, Stage, changed, sample

RETIREMENT = sample("health-ec2-retirement")
CLOSED = sample("health-ec2-persistent-retirement-closed")
EXPEDITED = sample("health-ec2-retirement-expedited")
PAGES = (sample("health-ec2-stop-page1of2"), sample("health-ec2-stop-page2of2"))
PATCH = sample("ssm-compliance-patch-noncompliant")


def about(event: dict[str, Any], *instances: str) -> dict[str, Any]:
    return changed(event, detail={"affectedEntities": [{"entityValue": name} for name in instances]})


def work_of(stage: Stage, instance: str) -> journal.Work:
    claim = stage.claim(instance)
    assert claim is not None
    return journal.get_work(stage.table, claim.work)


def test_a_notice_becomes_a_claim_and_an_execution(stage: Stage) -> None:
    stage.policy(mode="act")
    assert stage.intake(RETIREMENT) == []
    work = work_of(stage, H1)
    assert stage.machine.inputs == {work.name: work.input}
    given = json.loads(work.input)
    assert given["hosts"] == [H1]
    assert given["cluster"] == CLUSTER
    assert (given["mode"], given["entry"], given["start_at"]) == ("act", "replace", None)
    assert given["deadline"] == "2026-10-19T14:00:00.000Z"
    assert given["trigger"]["kind"] == "health"


def test_without_policy_work_is_only_observed(stage: Stage) -> None:
    stage.intake(RETIREMENT)
    assert json.loads(work_of(stage, H1).input)["mode"] == "observe"


def test_a_patch_notice_goes_the_same_way(stage: Stage) -> None:
    assert stage.intake(PATCH) == []
    given = json.loads(work_of(stage, H2).input)
    assert (given["trigger"]["kind"], given["deadline"]) == ("patch", None)


def test_work_starts_policys_lead_before_the_date(stage: Stage) -> None:
    stage.policy("clusters/shop", lead=86_400)
    stage.intake(RETIREMENT)
    assert json.loads(work_of(stage, H1).input)["start_at"] == "2026-10-18T14:00:00.000Z"


def test_copies_in_one_batch_and_later_ones_begin_nothing_more(stage: Stage) -> None:
    copies = [sample("health-ec2-retirement-duplicate"), sample("health-ec2-retirement-backup")]
    assert stage.intake(RETIREMENT, *copies) == []
    assert stage.intake(RETIREMENT) == []
    assert len(stage.machine.inputs) == 1


def test_hosts_of_one_cluster_become_one_batch_within_the_budget(stage: Stage) -> None:
    stage.policy(mode="act", budget=3)
    stage.intake(about(RETIREMENT, H1, H2, H3, H4))
    assert sorted(len(json.loads(text)["hosts"]) for text in stage.machine.inputs.values()) == [1, 3]


def test_pages_of_one_notice_become_one_batch(stage: Stage) -> None:
    stage.policy(mode="act", budget=2)
    stage.intake(*reversed(PAGES))
    (text,) = stage.machine.inputs.values()
    assert json.loads(text)["hosts"] == [H3, H4]


def test_hosts_of_two_clusters_become_two_pieces_of_work(stage: Stage) -> None:
    stage.policy(mode="act", budget=5)
    stage.clusters = {CLUSTER: [H1], CLUSTER + "-2": [H2]}
    stage.intake(about(RETIREMENT, H1, H2))
    assert {json.loads(text)["cluster"] for text in stage.machine.inputs.values()} == {CLUSTER, CLUSTER + "-2"}


def test_an_instance_of_no_cluster_is_ignored_with_a_reason(stage: Stage, lines: list[str]) -> None:
    stage.clusters = {CLUSTER: []}
    assert stage.intake(RETIREMENT) == []
    assert stage.machine.inputs == {}
    assert any(line.startswith(f"{H1}: ignored: no container instance") for line in lines)


def test_clusters_that_the_roles_do_not_allow_are_not_asked(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLUSTER_NAMES", "sh*")
    other = CLUSTER.replace("shop", "other")
    stage.clusters = {other: [H2], CLUSTER: [H1]}
    stage.unreadable = {other}
    assert stage.intake(about(RETIREMENT, H1, H2)) == []
    assert sorted(claims.find(stage.table, [H1, H2])) == [H1]


def test_a_cluster_that_cannot_be_read_is_not_taken_for_empty(stage: Stage) -> None:
    other = CLUSTER.replace("shop", "a-first")
    stage.clusters = {other: [], CLUSTER: [H1]}
    stage.unreadable = {other}
    assert stage.intake(RETIREMENT) == ["m1"]
    assert stage.claim(H1) is None
    stage.unreadable = set()
    assert stage.intake(RETIREMENT) == []
    assert stage.claim(H1) is not None


def test_a_bad_message_comes_again_alone_and_says_why(stage: Stage, lines: list[str]) -> None:
    bad = changed(RETIREMENT, detail={"startTime": "soon"})
    assert stage.intake(bad, PATCH, "{") == ["m1", "m3"]
    assert stage.claim(H2) is not None
    assert lines[0] == "event refused: detail.startTime: 'soon' is not a date"


def test_a_batch_of_bad_messages_is_no_error_of_the_function(stage: Stage) -> None:
    assert stage.intake("{", "[]") == ["m1", "m2"]


def test_unknown_kinds_and_other_regions_are_no_ops(stage: Stage, lines: list[str]) -> None:
    assert stage.intake(sample("ecs-task-stopped"), sample("health-ec2-retirement-other-region")) == []
    assert stage.machine.inputs == {}
    assert all(line.startswith("nothing to do: ") for line in lines)


def test_an_execution_that_could_not_be_started_is_started_by_the_redelivery(stage: Stage) -> None:
    stage.machine.broken = True
    assert stage.intake(RETIREMENT) == ["m1"]
    stage.machine.broken = False
    assert stage.intake(RETIREMENT, now=NOW + timedelta(minutes=6)) == []
    assert stage.machine.inputs == {work_of(stage, H1).name: work_of(stage, H1).input}


def test_a_second_more_urgent_notice_lowers_the_deadline_and_wakes_the_work(stage: Stage) -> None:
    stage.intake(RETIREMENT)
    work = work_of(stage, H1)
    stage.machine.tokens = {"t"}
    waits.register(stage.table, work.name, "Wait for start", "t", {waits.work_key(work.name)}, NOW)
    assert stage.intake(EXPEDITED) == []
    assert work_of(stage, H1).deadline == datetime(2026, 10, 6, 14, tzinfo=UTC)
    assert work_of(stage, H1).input == work.input
    assert stage.machine.inputs == {work.name: work.input}
    assert stage.machine.woken == ["t"]


def test_a_less_urgent_notice_changes_nothing_but_is_noted(stage: Stage) -> None:
    stage.intake(EXPEDITED)
    before = work_of(stage, H1)
    stage.intake(RETIREMENT)
    assert work_of(stage, H1) == before
    claim = stage.claim(H1)
    assert claim is not None
    assert len(claim.notices) == 2
    stage.close(before.name, "replaced")
    stage.intake(RETIREMENT)
    assert len(stage.machine.inputs) == 1


@pytest.mark.parametrize("outcome", ["replaced", "undone", "blocked", "ignored", "failed"])
def test_a_repeated_notice_never_begins_work_anew(stage: Stage, outcome: journal.Outcome) -> None:
    stage.policy(mode="act")
    stage.intake(RETIREMENT)
    stage.close(work_of(stage, H1).name, outcome, timedelta(minutes=15))
    assert stage.intake(RETIREMENT, now=NOW + timedelta(hours=1)) == []
    assert len(stage.machine.inputs) == 1


def test_a_new_notice_after_the_end_of_the_former_work_is_a_new_generation(stage: Stage) -> None:
    stage.intake(RETIREMENT)
    stage.close(work_of(stage, H1).name, "blocked")
    stage.intake(EXPEDITED)
    claim = stage.claim(H1)
    assert claim is not None
    assert (claim.generation, claim.attempt) == (2, 1)
    assert len(stage.machine.inputs) == 2


def test_planned_work_is_done_when_the_notice_repeats_under_act(stage: Stage) -> None:
    stage.intake(RETIREMENT)
    planned = work_of(stage, H1)
    stage.close(planned.name, "planned")
    stage.intake(RETIREMENT)
    assert len(stage.machine.inputs) == 1
    stage.policy(mode="act")
    stage.intake(RETIREMENT)
    work = work_of(stage, H1)
    assert (work.attempt, work.mode) == (2, "act")
    assert work.name != planned.name


def test_a_closed_notice_begins_nothing(stage: Stage) -> None:
    assert stage.intake(CLOSED) == []
    assert stage.machine.inputs == {}


def test_a_notice_that_comes_after_its_own_end_begins_nothing(stage: Stage) -> None:
    stage.intake(CLOSED)
    assert stage.intake(RETIREMENT) == []
    assert stage.machine.inputs == {}
    later = changed(RETIREMENT, detail={"lastUpdatedTime": "Sat, 10 Oct 2026 10:00:00 GMT"})
    assert stage.intake(later) == []
    assert len(stage.machine.inputs) == 1


def test_open_and_closed_in_one_batch_count_by_their_time(stage: Stage) -> None:
    assert stage.intake(CLOSED, RETIREMENT) == []
    assert stage.machine.inputs == {}


def test_a_closed_notice_withdraws_work_and_wakes_it(stage: Stage) -> None:
    stage.policy(lead=86_400)
    stage.intake(RETIREMENT)
    work = work_of(stage, H1)
    stage.machine.tokens = {"t"}
    waits.register(stage.table, work.name, "Wait for start", "t", {waits.work_key(work.name)}, NOW)
    assert stage.intake(CLOSED) == []
    assert "closed" in work_of(stage, H1).withdrawn
    assert stage.machine.woken == ["t"]


def test_work_that_another_notice_stands_for_is_not_withdrawn(stage: Stage) -> None:
    stage.intake(RETIREMENT)
    stage.intake(EXPEDITED)
    stage.intake(CLOSED)
    assert work_of(stage, H1).withdrawn == ""


def test_a_policy_that_cannot_be_read_holds_everything_up(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_names: object) -> dict[str, str]:
        raise AwsFailure("GetParameters", "AccessDeniedException", "words")

    monkeypatch.setattr("caretaker.aws.ssm.get_parameters", broken)
    assert stage.intake(RETIREMENT) == ["m1"]
    assert stage.claim(H1) is None


def test_a_claim_that_changes_in_between_is_decided_again(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another invocation claims the host between the look and the claim."""
    real, calls = claims.take, []

    def racing(table: Table, wanted: Any, **rest: Any) -> journal.Work:
        calls.append(1)
        if len(calls) == 1:
            real(table, wanted, **rest)
        return real(table, wanted, **rest)

    monkeypatch.setattr(claims, "take", racing)
    assert stage.intake(RETIREMENT) == []
    assert list(stage.machine.inputs) == [work_of(stage, H1).name]


class DiedError(BaseException):
    """The function's process is gone."""


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_death_at_any_call_is_made_up_for_by_the_redelivery(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    """For every AWS call of intake: dying there and being run again gives one execution for each host."""
    stage.policy(mode="act", budget=2)
    event = about(RETIREMENT, H1, H2, H3)
    client_type = type(stage.table.client)
    real = client_type._make_api_call
    start = stage.machine.start
    count, limit, armed = 0, 0, False

    def counted(act: Any) -> Any:
        nonlocal count
        count += 1
        if armed and count == limit and when == "before":
            raise DiedError
        answer = act()
        if armed and count == limit:
            raise DiedError
        return answer

    monkeypatch.setattr(
        "botocore.client.BaseClient._make_api_call",
        lambda self, name, params: counted(lambda: real(self, name, params)),
    )
    monkeypatch.setattr(
        "caretaker.aws.stepfunctions.start",
        lambda machine, name, text: counted(lambda: start(machine, name, text)),
    )
    points = 0
    while True:
        limit += 1
        count, armed = 0, True
        try:
            stage.intake(event)
        except DiedError:
            points += 1
        else:
            break
        armed = False
        assert stage.intake(event) == []
        found = claims.find(stage.table, [H1, H2, H3])
        assert {claim.work for claim in found.values()} == set(stage.machine.inputs)
        hosts = sorted(host for text in stage.machine.inputs.values() for host in json.loads(text)["hosts"])
        assert hosts == [H1, H2, H3]
        for name in stage.machine.inputs:
            assert journal.get_work(stage.table, name).input == stage.machine.inputs[name]
        _empty(stage)
    assert points >= 8


def _empty(stage: Stage) -> None:
    items = stage.table.client.scan(TableName=stage.table.name)["Items"]
    stage.table.write_many(deletes=[(item["pk"]["S"], item["sk"]["S"]) for item in items])
    stage.machine.inputs.clear()
