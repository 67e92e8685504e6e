from typing import Any

import pytest
from kernel_stage import OPERATOR, Account

from twin.errors import AwsError, Unmodelled
from twin.kernel.alarms import Alarm, Metric
from twin.kernel.topics import Topic


@pytest.fixture
def account() -> Account:
    return Account().settle()


def add(account: Account, topic: Topic | None = None, **changes: Any) -> Alarm:
    settings: dict[str, Any] = {
        "name": "trouble",
        "arn": account.kernel.arn("cloudwatch", "alarm:trouble"),
        "description": "",
        "metric": Metric.of("Caretaker", "Failed", {"service": "caretaker"}),
        "statistic": "Sum",
        "period": 60,
        "periods": 1,
        "to_alarm": 1,
        "threshold": 0,
        "comparison": "GreaterThanThreshold",
        "missing": "notBreaching",
        "alarm_actions": (topic.arn,) if topic else (),
        **changes,
    }
    alarm = Alarm(**settings)
    account.alarms.add(alarm)
    return alarm


def at(account: Account, moment: float, value: float) -> None:
    account.kernel.scheduler.call_at(
        moment, lambda: account.alarms.put("Caretaker", "Failed", {"service": "caretaker"}, value), name="metric"
    )


def states(account: Account) -> list[tuple[float, str]]:
    start = account.kernel.clock.start
    return [((moment - start).total_seconds(), after) for _, moment, _, after in account.alarms.history]


def test_a_datapoint_raises_the_alarm_at_the_end_of_its_minute_and_tells_people(account: Account) -> None:
    topic = account.topics.add("news")
    add(account, topic)
    at(account, 70, 1)
    account.run()
    assert states(account) == [(60, "OK"), (120, "ALARM")]
    [message] = account.topics.messages
    assert message.subject == 'ALARM: "trouble" in eu-west-1'
    assert "1 out of the last 1 datapoints [1]" in message.body
    [text] = account.notes("alarm")
    assert text.startswith("trouble is ALARM")
    account.kernel.scheduler.call_at(310, lambda: None, name="later")
    account.run()
    # Two minutes later than one would think: while it is in the evaluation range, a real datapoint beats missing ones.
    assert states(account)[-1] == (300, "OK")


def test_a_datapoint_of_no_concern_keeps_no_world_awake(account: Account) -> None:
    add(account)
    at(account, 5, 0)
    account.run()
    assert account.kernel.clock.elapsed == 5


def test_changes_of_state_are_events(account: Account) -> None:
    seen: list[Any] = []
    account.bus.listeners.append(lambda event, rules: seen.append(event["detail"]))
    add(account)
    at(account, 70, 1)
    account.run()
    last = seen[-1]
    assert (last["alarmName"], last["state"]["value"], last["previousState"]["value"]) == ("trouble", "ALARM", "OK")
    assert last["state"]["timestamp"] == "2026-10-05T12:02:00.000+0000"


@pytest.mark.parametrize(
    ("missing", "expected"),
    [
        ("notBreaching", "OK"),
        ("breaching", "ALARM"),
        ("missing", "INSUFFICIENT_DATA"),
        ("ignore", "INSUFFICIENT_DATA"),
    ],
)
def test_missing_data(account: Account, missing: str, expected: str) -> None:
    alarm = add(account, missing=missing)
    account.kernel.scheduler.call_at(70, lambda: None, name="later")
    account.run()
    assert alarm.state == expected


def test_m_of_n_datapoints(account: Account) -> None:
    alarm = add(account, periods=3, to_alarm=2)
    at(account, 10, 1)
    account.run(119)
    assert alarm.state == "OK"
    at(account, 130, 1)
    account.run()
    assert alarm.state == "ALARM"


@pytest.mark.parametrize(
    ("statistic", "threshold", "raised"),
    [("Sum", 5, True), ("Maximum", 5, False), ("Average", 2, True), ("Minimum", 2, False), ("SampleCount", 1, True)],
)
def test_statistics(account: Account, statistic: str, threshold: float, raised: bool) -> None:
    alarm = add(account, statistic=statistic, threshold=threshold)
    for value in (2, 4):
        at(account, 10, value)
    account.kernel.scheduler.call_at(70, lambda: None, name="later")
    account.run()
    assert (alarm.state == "ALARM") is raised


def test_a_dead_letter_raises_its_alarm_even_when_the_world_falls_quiet(account: Account) -> None:
    dead = account.queues.add("dead")
    queue = account.queues.add("q", dead_letter_arn=dead.arn, max_receive_count=1, visibility=5)
    metric = Metric.of("AWS/SQS", "ApproximateNumberOfMessagesVisible", {"QueueName": "dead"})
    alarm = add(account, metric=metric, statistic="Maximum")
    account.queues.send(queue, "a", sender="test")
    for _ in range(2):
        account.queues.receive(queue, 1)
        account.run()
    assert alarm.state == "ALARM"


@pytest.mark.parametrize(("status", "metric"), [("FAILED", "ExecutionsFailed"), ("TIMED_OUT", "ExecutionsTimedOut")])
def test_executions_that_fail_are_counted_by_machine(account: Account, status: str, metric: str) -> None:
    execution = account.kernel.arn("states", "execution:flow:one")
    account.kernel.note("execution.ended", "", status=status, execution=execution)
    machine = account.kernel.arn("states", "stateMachine:flow")
    assert account.alarms.total("AWS/States", metric, {"StateMachineArn": machine}) == 1


def test_a_topic_with_a_policy_must_name_cloudwatch(account: Account) -> None:
    topic = account.topics.add("news")
    grant = {
        "Effect": "Allow",
        "Principal": {"Service": "cloudwatch.amazonaws.com"},
        "Action": "sns:Publish",
        "Resource": topic.arn,
        "Condition": {"ArnLike": {"aws:SourceArn": "arn:aws:cloudwatch:eu-west-1:111122223333:alarm:other*"}},
    }
    account.gateway.iam.add_resource_policy(topic.arn, {"Statement": [grant]}, "news")
    add(account, topic)
    at(account, 10, 1)
    account.run()
    assert not account.topics.messages
    assert "not authorized" in account.notes("alarm.silent")[0]


def test_the_api_describes_alarms_and_takes_metrics(account: Account) -> None:
    add(account)
    data = [{"MetricName": "Failed", "Dimensions": [{"Name": "service", "Value": "caretaker"}], "Value": 3.0}]
    account.gateway.call("cloudwatch", "PutMetricData", {"Namespace": "Caretaker", "MetricData": data}, OPERATOR)
    account.run()
    [described] = account.gateway.call("cloudwatch", "DescribeAlarms", {"StateValue": "ALARM"}, OPERATOR)[
        "MetricAlarms"
    ]
    assert described["AlarmName"] == "trouble"
    with pytest.raises(AwsError, match="Namespace"):
        account.gateway.call("cloudwatch", "PutMetricData", {"Namespace": "AWS/X", "MetricData": data}, OPERATOR)


@pytest.mark.parametrize(
    "changes", [{"statistic": "WM(10%:90%)"}, {"comparison": "LessThanLowerThreshold"}, {"period": 10}]
)
def test_what_is_not_modelled(account: Account, changes: dict[str, Any]) -> None:
    with pytest.raises(Unmodelled, match=r"alarm trouble|winsorized"):
        add(account, **changes)


# --- topics ----------------------------------------------------------------------------------------------------------
def test_published_messages_are_kept(account: Account) -> None:
    topic = account.topics.add("news")

    def publish(**params: Any) -> dict[str, Any]:
        return account.gateway.call("sns", "Publish", {"TopicArn": topic.arn, **params}, OPERATOR)

    answer = publish(Message="something\nhappened", Subject="News")
    [message] = account.topics.messages
    assert (message.body, message.subject, message.caller) == ("something\nhappened", "News", OPERATOR)
    assert message.message_id == answer["MessageId"]
    for bad in ({"Subject": "two\nlines"}, {"Subject": "x" * 101}, {"Subject": " x"}, {"Subject": "é"}):
        with pytest.raises(AwsError, match="Subject"):
            publish(Message="m", **bad)
    with pytest.raises(AwsError, match="too long"):
        publish(Message="x" * 262_145)
    with pytest.raises(AwsError, match="NotFound"):
        publish(Message="m", TopicArn=topic.arn + "x")
