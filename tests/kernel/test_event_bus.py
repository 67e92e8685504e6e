import json
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from kernel_stage import ACCOUNT, FUNCTION, OPERATOR, START, Account, bodies

from twin.errors import AwsError, Unmodelled, WorldError
from twin.kernel import schedules
from twin.kernel.api import WORLD, Api, Call, operation
from twin.kernel.bus import EventFault, Rule, Target

HEALTH = {"source": ["aws.health"]}


@pytest.fixture
def account() -> Account:
    return Account().settle()


def health(number: int = 1) -> tuple[str, str, dict[str, Any], list[str]]:
    return "aws.health", "AWS Health Event", {"number": number}, ["i-1"]


def numbers(queue: Any) -> list[int]:
    return [body["detail"]["number"] for body in bodies(queue)]


def attributes(queue: Any) -> dict[str, str]:
    [message] = queue.waiting
    return {name: value["StringValue"] for name, value in message.attributes.items()}


# --- rules and envelopes ---------------------------------------------------------------------------------------------
def test_an_event_reaches_the_targets_of_the_rules_that_match(account: Account) -> None:
    queue, other = account.open_queue("notices"), account.open_queue("others")
    account.add_rule("health", HEALTH, Target("q", queue.arn))
    account.add_rule("tasks", {"source": ["aws.ecs"]}, Target("q", other.arn))
    account.add_rule("off", HEALTH, Target("q", other.arn), enabled=False)
    account.bus.emit(*health())
    account.run()
    assert numbers(queue) == [1]
    assert not other.waiting
    [body] = bodies(queue)
    assert body["time"] == "2026-10-05T12:00:00Z"
    assert (body["version"], body["account"], body["region"]) == ("0", ACCOUNT, "eu-west-1")


def test_events_of_a_world_being_built_belong_to_its_past() -> None:
    account = Account()
    queue = account.open_queue("notices")
    account.add_rule("health", HEALTH, Target("q", queue.arn))
    account.bus.emit(*health())
    account.settle().run()
    assert not queue.waiting
    assert not account.bus.history


def test_a_raw_event_needs_its_envelope(account: Account) -> None:
    with pytest.raises(WorldError, match="'detail-type'"):
        account.bus.put({"id": "1", "source": "aws.health"})


def test_the_same_seed_gives_the_same_ids() -> None:
    def ids(seed: int) -> list[str]:
        account = Account(seed=seed).settle()
        account.bus.emit(*health())
        account.run()
        return [event["id"] for event in account.bus.history]

    assert ids(1) == ids(1) != ids(2)


def test_constant_input_replaces_the_event(account: Account) -> None:
    queue = account.open_queue("notices")
    account.add_rule("health", HEALTH, Target("q", queue.arn, input='{"kind": "fixed"}'))
    account.bus.emit(*health())
    account.run()
    assert bodies(queue) == [{"kind": "fixed"}]


# --- permissions and dead letters ------------------------------------------------------------------------------------
def test_a_queue_whose_policy_does_not_name_the_rule_gets_nothing(account: Account) -> None:
    queue, dead = account.open_queue("notices", rule="another"), account.open_queue("dead")
    rule = account.add_rule("health", HEALTH, Target("q", queue.arn, dead_letter_arn=dead.arn))
    account.bus.emit(*health())
    account.run()
    assert not queue.waiting
    assert numbers(dead) == [1]
    found = attributes(dead)
    assert found["ERROR_CODE"] == "NO_PERMISSIONS"
    assert found["RULE_ARN"] == rule.arn
    assert found["TARGET_ARN"] == queue.arn
    assert found["RETRY_ATTEMPTS"] == "0"
    assert "EXHAUSTED_RETRY_CONDITION" not in found
    assert account.kernel.clock.elapsed < 1, "not retried"


def test_a_missing_target_goes_to_the_dead_letters_at_once(account: Account) -> None:
    dead = account.open_queue("dead")
    gone = account.kernel.arn("sqs", "gone")
    account.add_rule("health", HEALTH, Target("q", gone, dead_letter_arn=dead.arn))
    account.bus.emit(*health())
    account.run()
    assert attributes(dead)["ERROR_CODE"] == "RESOURCE_NOT_FOUND"


def test_without_a_dead_letter_queue_that_takes_it_the_event_is_dropped_and_said_so(account: Account) -> None:
    closed = account.queues.add("closed")
    account.add_rule("bare", HEALTH, Target("q", closed.arn))
    account.add_rule("twice", HEALTH, Target("q", closed.arn, dead_letter_arn=closed.arn))
    account.bus.emit(*health())
    account.run()
    bare, twice = account.notes("event.dropped")
    assert "rule bare" in bare
    assert "refused" in twice


def test_functions_need_a_permission_for_the_rule(account: Account) -> None:
    dead = account.open_queue("dead")
    account.add_rule("health", HEALTH, Target("f", FUNCTION, dead_letter_arn=dead.arn))
    account.bus.emit(*health())
    account.run()
    assert attributes(dead)["ERROR_CODE"] == "NO_PERMISSIONS"
    account.allow_invoke("health")
    account.bus.emit(*health(2))
    account.run()
    assert [event["detail"]["number"] for event in account.functions.events] == [2]


class Starts(Api):
    def __init__(self) -> None:
        super().__init__()
        self.service = "stepfunctions"
        self.inputs: list[Any] = []

    @operation("StartExecution", ["stateMachineArn", "input"])
    def start(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        self.inputs.append(json.loads(params["input"]))
        return {"executionArn": "arn", "startDate": START}


def test_state_machines_are_started_by_a_role_that_events_can_assume(account: Account) -> None:
    starts, dead = Starts(), account.open_queue("dead")
    account.gateway.register(starts)
    machine = account.kernel.arn("states", "stateMachine:flow")
    role = f"arn:aws:iam::{ACCOUNT}:role/starter"
    target = Target("m", f"{machine}:live", role_arn=role, dead_letter_arn=dead.arn)
    account.add_rule("health", HEALTH, target)
    account.bus.emit(*health(1))
    account.run()
    assert numbers(dead) == [1]
    trust = {"Statement": {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sts:*"}}
    made = account.gateway.iam.add_role(role, "starter", trust)
    grant = {"Effect": "Allow", "Action": "states:StartExecution", "Resource": machine}
    account.gateway.iam.add_policy(made, {"Statement": [grant]}, "starter")
    account.bus.emit(*health(2))
    account.run()
    assert [event["detail"]["number"] for event in starts.inputs] == [2]


# --- retries ---------------------------------------------------------------------------------------------------------
def failing(account: Account, times: int, **target: Any) -> Any:
    dead = account.open_queue("dead")
    account.allow_invoke("health")
    account.functions.errors = [AwsError("ServiceException", "try again", 500)] * times
    account.add_rule("health", HEALTH, Target("f", FUNCTION, dead_letter_arn=dead.arn, **target))
    account.bus.emit(*health())
    return dead


def test_a_failing_target_is_tried_again_with_growing_delays(account: Account) -> None:
    dead = failing(account, 5)
    account.run()
    assert len(account.functions.events) == 1
    assert not dead.waiting
    tries = [call.at for call in account.kernel.calls if call.operation == "Invoke"]
    gaps = [(later - earlier).total_seconds() for earlier, later in pairwise(tries)]
    assert len(tries) == 6
    assert all(0.5 <= gap / 2**number <= 1 for number, gap in enumerate(gaps))


def test_after_the_last_attempt_the_event_is_a_dead_letter(account: Account) -> None:
    dead = failing(account, 99, attempts=3)
    account.run()
    found = attributes(dead)
    assert found["EXHAUSTED_RETRY_CONDITION"] == "MaximumRetryAttempts"
    assert found["RETRY_ATTEMPTS"] == "3"
    assert found["ERROR_CODE"] == "ServiceException"


def test_an_event_that_is_too_old_is_a_dead_letter(account: Account) -> None:
    dead = failing(account, 99, max_age=60)
    account.run()
    assert attributes(dead)["EXHAUSTED_RETRY_CONDITION"] == "MaximumEventAgeInSeconds"
    assert account.kernel.clock.elapsed <= 61


def test_by_default_a_day_is_filled_with_retries(account: Account) -> None:
    failing(account, 999)
    account.run()
    assert 20 * 3600 < account.kernel.clock.elapsed <= 86_401


def test_retry_policies_out_of_bounds_are_refused() -> None:
    with pytest.raises(WorldError, match="RetryPolicy"):
        Target("q", "arn", attempts=186)
    with pytest.raises(WorldError, match="RetryPolicy"):
        Target("q", "arn", max_age=30)


# --- faults ----------------------------------------------------------------------------------------------------------
def delivered(account: Account, fault: EventFault, events: int = 4) -> list[tuple[float, int]]:
    """(second, number) of every event as it reached the bus; they were put ten seconds apart."""
    account.bus.faults.append(fault)
    seen: list[tuple[float, int]] = []
    account.bus.listeners.append(
        lambda event, rules: seen.append((account.kernel.clock.elapsed, event["detail"]["number"]))
    )
    for number in range(events):
        account.kernel.scheduler.call_at(number * 10, lambda number=number: account.bus.emit(*health(number)), name="e")
    account.run()
    return [(round(at - account.bus.latency), number) for at, number in seen]


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (EventFault("lost", times=1), [(10, 1), (20, 2), (30, 3)]),
        (EventFault("lost", "Another Kind"), [(0, 0), (10, 1), (20, 2), (30, 3)]),
        (EventFault("lost", after=5, until=15), [(0, 0), (20, 2), (30, 3)]),
        (EventFault("doubled", times=1, seconds=15), [(0, 0), (10, 1), (15, 0), (20, 2), (30, 3)]),
        (EventFault("late", times=2, seconds=25), [(20, 2), (25, 0), (30, 3), (35, 1)]),
        (EventFault("reordered", times=1), [(10, 1), (10, 0), (20, 2), (30, 3)]),
        (EventFault("reordered", seconds=5, times=1), [(5, 0), (10, 1), (20, 2), (30, 3)]),
        (EventFault("lost", probability=0.0), [(0, 0), (10, 1), (20, 2), (30, 3)]),
    ],
)
def test_faults_of_events(account: Account, fault: EventFault, expected: list[tuple[int, int]]) -> None:
    assert delivered(account, fault) == expected


def test_a_doubled_event_keeps_its_id(account: Account) -> None:
    delivered(account, EventFault("doubled", times=1), events=1)
    one, other = account.bus.history
    assert one == other


def test_chances_follow_the_seed() -> None:
    def lost(seed: int) -> list[int]:
        account = Account(seed=seed).settle()
        return [number for _, number in delivered(account, EventFault("lost", probability=0.5), events=30)]

    assert lost(1) == lost(1)
    assert 5 < len(lost(1)) < 25
    assert lost(1) != lost(2)


# --- PutEvents -------------------------------------------------------------------------------------------------------
def entry(**changes: Any) -> dict[str, Any]:
    return {"Source": "caretaker", "DetailType": "Outcome", "Detail": '{"a": 1}', **changes}


def put(account: Account, *entries: dict[str, Any]) -> dict[str, Any]:
    return account.gateway.call("events", "PutEvents", {"Entries": list(entries)}, OPERATOR)


def test_put_events_publishes_and_names_the_entries_that_it_refuses(account: Account) -> None:
    answer = put(
        account,
        entry(),
        entry(Source="aws.ecs"),
        entry(Detail="[1]"),
        entry(Detail="{"),
        {"Source": "caretaker", "Detail": "{}"},
    )
    account.run()
    assert answer["FailedEntryCount"] == 4
    codes = [item.get("ErrorCode") for item in answer["Entries"]]
    assert codes == [None, "NotAuthorizedForSourceException", "MalformedDetail", "MalformedDetail", "InvalidArgument"]
    [event] = account.bus.published
    assert event["detail"] == {"a": 1}
    assert event["id"] == answer["Entries"][0]["EventId"]


def test_put_events_has_limits(account: Account) -> None:
    with pytest.raises(AwsError, match="ValidationException"):
        put(account, *[entry()] * 11)
    with pytest.raises(AwsError, match="size"):
        put(account, entry(Detail=json.dumps({"a": "x" * 262_144})))
    with pytest.raises(Unmodelled, match="event bus"):
        put(account, entry(EventBusName="other"))


# --- parameters ------------------------------------------------------------------------------------------------------
def test_writing_a_parameter_is_an_event(account: Account) -> None:
    seen: list[tuple[str, str]] = []
    account.bus.listeners.append(
        lambda event, rules: seen.append((event["detail"]["operation"], event["resources"][0]))
    )
    with account.gateway.intercepted():
        for value in ("1", "2"):
            params = {"Name": "/p/x", "Value": value, "Type": "String", "Overwrite": True}
            account.gateway.call("ssm", "PutParameter", params, WORLD)
        account.gateway.call("ssm", "DeleteParameter", {"Name": "/p/x"}, WORLD)
    account.run()
    arn = account.kernel.arn("ssm", "parameter/p/x")
    assert seen == [("Create", arn), ("Update", arn), ("Delete", arn)]


# --- schedules -------------------------------------------------------------------------------------------------------
def test_a_schedule_fires_in_the_background(account: Account) -> None:
    queue = account.open_queue("ticks")
    rule = Rule("tick", account.rule_arn("tick"), None, schedules.parse("rate(5 minutes)"), (Target("q", queue.arn),))
    account.bus.add(rule)
    assert account.run(), "a schedule alone keeps no world busy"
    assert not queue.waiting
    account.kernel.scheduler.call_at(16 * 60, lambda: None, name="something else")
    account.run()
    assert [body["time"] for body in bodies(queue)] == [
        (START + timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ") for minutes in (5, 10, 15)
    ]
    first = bodies(queue)[0]
    assert (first["source"], first["detail-type"], first["detail"]) == ("aws.events", "Scheduled Event", {})
    assert first["resources"] == [rule.arn]
