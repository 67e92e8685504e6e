import hashlib
from typing import Any

import pytest
from kernel_stage import FUNCTION, OPERATOR, START, Account, Result

from twin.errors import AwsError, Unmodelled, WorldError
from twin.kernel.queues import Queue, SourceMapping


@pytest.fixture
def account() -> Account:
    return Account().settle()


def mapped(account: Account, queue: Queue, **settings: Any) -> SourceMapping:
    mapping = SourceMapping(queue, FUNCTION, **settings)
    account.queues.add_mapping(mapping, function_timeout=10)
    return mapping


def send(account: Account, queue: Queue, *texts: str) -> None:
    for text in texts:
        account.queues.send(queue, text, sender="test")


def failures(*wanted: str) -> Any:
    """An answer that names the messages with these bodies."""

    def answer(payload: dict[str, Any]) -> Result:
        bad = [record["messageId"] for record in payload["Records"] if record["body"] in wanted]
        return Result({"batchItemFailures": [{"itemIdentifier": name} for name in bad]})

    return answer


# --- messages --------------------------------------------------------------------------------------------------------
def test_a_received_message_hides_and_comes_back(account: Account) -> None:
    queue = account.queues.add("q", visibility=30)
    send(account, queue, "a")
    [message] = account.queues.receive(queue, 10)
    assert account.queues.receive(queue, 10) == []
    account.run(29)
    assert not queue.waiting
    account.run(31)
    [again] = account.queues.receive(queue, 10)
    assert again is message
    assert again.receive_count == 2


def test_a_deleted_message_is_gone_and_an_old_receipt_deletes_nothing(account: Account) -> None:
    queue = account.queues.add("q", visibility=5)
    send(account, queue, "a")
    [first] = account.queues.receive(queue, 1)
    old = str(first.receipt)
    account.run()
    [second] = account.queues.receive(queue, 1)
    account.queues.delete(queue, old)
    assert len(queue) == 1
    account.queues.delete(queue, str(second.receipt))
    account.run()
    assert len(queue) == 0


def test_what_is_received_too_often_moves_to_the_dead_letters_with_its_id_and_age(account: Account) -> None:
    dead = account.queues.add("dead")
    queue = account.queues.add("q", visibility=5, dead_letter_arn=dead.arn, max_receive_count=2)
    send(account, queue, "a")
    for _ in range(2):
        [message] = account.queues.receive(queue, 1)
        account.run()
    assert not dead.waiting, "moved only when it is received once more"
    assert account.queues.receive(queue, 1) == []
    [moved] = dead.waiting
    assert (moved.id, moved.sent) == (message.id, message.sent)
    [taken] = account.queues.receive(dead, 1)
    assert account.queues.record(dead, taken)["attributes"]["DeadLetterQueueSourceArn"] == queue.arn
    assert taken.receive_count == 1


def test_messages_expire(account: Account) -> None:
    queue = account.queues.add("q", retention=60)
    send(account, queue, "a")
    account.kernel.scheduler.call_at(59, lambda: seen.append(len(queue)), name="look")
    account.kernel.scheduler.call_at(61, lambda: seen.append(len(queue)), name="look")
    seen: list[int] = []
    account.run()
    assert seen == [1, 0]


def test_delayed_messages(account: Account) -> None:
    queue = account.queues.add("q", delay=20)
    send(account, queue, "a")
    assert not queue.waiting
    account.run()
    assert len(queue.waiting) == 1
    assert account.kernel.clock.elapsed == 20


# --- Lambda's readers ------------------------------------------------------------------------------------------------
def test_the_record_that_a_function_gets(account: Account) -> None:
    queue = account.queues.add("q")
    mapped(account, queue)
    typed = {"RULE_ARN": {"StringValue": "arn", "DataType": "String"}}
    account.queues.send(queue, "héllo", sender="AIDA", attributes=typed)
    account.run()
    [invoked] = account.workers.invoked
    [record] = invoked.payload["Records"]
    sent = str(round(START.timestamp() * 1000))
    assert record["attributes"] == {
        "ApproximateReceiveCount": "1",
        "SentTimestamp": sent,
        "SenderId": "AIDA",
        "ApproximateFirstReceiveTimestamp": str(int(sent) + 100),
    }
    assert record["messageAttributes"]["RULE_ARN"] == {
        "stringValue": "arn",
        "stringListValues": [],
        "binaryListValues": [],
        "dataType": "String",
    }
    assert record["md5OfBody"] == hashlib.md5("héllo".encode()).hexdigest()
    assert (record["eventSource"], record["eventSourceARN"], record["awsRegion"]) == ("aws:sqs", queue.arn, "eu-west-1")
    assert len(queue) == 0


def test_without_a_window_what_is_there_is_one_batch(account: Account) -> None:
    queue = account.queues.add("q")
    mapped(account, queue, batch_size=5)
    send(account, queue, *"abcdefg")
    account.run()
    assert [invoked.bodies for invoked in account.workers.invoked] == [list("abcde"), list("fg")]


def test_a_window_gathers_until_it_ends_or_the_batch_is_full(account: Account) -> None:
    queue = account.queues.add("q")
    mapped(account, queue, batch_size=3, window=10)
    for moment, text in ((0, "a"), (4, "b"), (30, "c"), (31, "d"), (32, "e")):
        account.kernel.scheduler.call_at(moment, lambda text=text: send(account, queue, text), name="send")
    account.run()
    batches = [(round(invoked.at), invoked.bodies) for invoked in account.workers.invoked]
    assert batches == [(10, ["a", "b"]), (32, ["c", "d", "e"])]


def test_a_failed_batch_comes_back_after_the_visibility_time_out_and_dies_in_the_end(account: Account) -> None:
    dead = account.queues.add("dead")
    queue = account.queues.add("q", visibility=60, dead_letter_arn=dead.arn, max_receive_count=3)
    mapped(account, queue, partial=True)
    account.workers.answer = lambda payload: Result(error={"errorType": "Boom"})
    send(account, queue, "a")
    account.run()
    assert [round(invoked.at) for invoked in account.workers.invoked] == [0, 60, 120]
    assert len(dead.waiting) == 1
    assert account.notes("message.dead")


def test_only_the_named_messages_come_back(account: Account) -> None:
    queue = account.queues.add("q", visibility=60)
    mapped(account, queue, partial=True)
    account.workers.answer = failures("b")
    account.kernel.scheduler.call_at(30, lambda: setattr(account.workers, "answer", failures()), name="repaired")
    send(account, queue, *"abc")
    account.run()
    assert [invoked.bodies for invoked in account.workers.invoked] == [list("abc"), ["b"]]
    assert len(queue) == 0


@pytest.mark.parametrize(
    ("answer", "back"),
    [
        (None, False),
        ({}, False),
        ({"batchItemFailures": []}, False),
        ({"batchItemFailures": None}, False),
        ("text", True),
        ({"batchItemFailures": "text"}, True),
        ({"batchItemFailures": [{"itemIdentifier": ""}]}, True),
        ({"batchItemFailures": [{"itemIdentifier": None}]}, True),
        ({"batchItemFailures": [{"itemIdentifier": "unknown"}]}, True),
        ({"batchItemFailures": [{"wrongKey": "x"}]}, True),
    ],
)
def test_strange_answers_with_partial_responses(account: Account, answer: Any, back: bool) -> None:
    queue = account.queues.add("q", visibility=60)
    mapped(account, queue, partial=True)
    account.workers.answer = lambda payload: Result(answer)
    send(account, queue, "a")
    account.run(30)
    assert bool(len(queue)) is back


def test_without_partial_responses_the_answer_does_not_matter(account: Account) -> None:
    queue = account.queues.add("q")
    mapped(account, queue)
    account.workers.answer = failures("a")
    send(account, queue, "a")
    account.run()
    assert len(queue) == 0


@pytest.mark.parametrize(("limit", "at_once"), [(2, 2), (None, 5)])
def test_no_more_batches_at_once_than_allowed(account: Account, limit: int | None, at_once: int) -> None:
    queue = account.queues.add("q", visibility=100)
    mapped(account, queue, batch_size=1, concurrency=limit)
    account.workers.seconds = 5
    send(account, queue, *"abcdefgh")
    account.run(3)
    assert len(account.workers.invoked) == at_once
    account.run()
    assert len(account.workers.invoked) == 8
    assert not account.queues.open


@pytest.mark.parametrize(
    ("settings", "timeout", "words"),
    [
        ({}, 31, "visibility timeout 30 s is less"),
        ({"batch_size": 11}, 10, "MaximumBatchingWindow"),
        ({"batch_size": 0}, 10, "out of bounds"),
        ({"window": 301}, 10, "out of bounds"),
        ({"concurrency": 1}, 10, "MaximumConcurrency"),
    ],
)
def test_mappings_that_lambda_refuses(account: Account, settings: Any, timeout: float, words: str) -> None:
    queue = account.queues.add("q", visibility=30)
    with pytest.raises(WorldError, match=words):
        account.queues.add_mapping(SourceMapping(queue, FUNCTION, **settings), timeout)


# --- API -------------------------------------------------------------------------------------------------------------
def test_the_api_sends_receives_and_deletes(account: Account) -> None:
    queue = account.queues.add("q")

    def call(operation: str, **params: Any) -> dict[str, Any]:
        return account.gateway.call("sqs", operation, params, OPERATOR)

    url = call("GetQueueUrl", QueueName="q")["QueueUrl"]
    assert call("ListQueues")["QueueUrls"] == [url]
    sent = call("SendMessage", QueueUrl=url, MessageBody="a")
    [message] = call("ReceiveMessage", QueueUrl=url, MessageSystemAttributeNames=["All"])["Messages"]
    assert (message["MessageId"], message["Body"]) == (sent["MessageId"], "a")
    assert message["Attributes"]["ApproximateReceiveCount"] == "1"
    counts = call("GetQueueAttributes", QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert counts["ApproximateNumberOfMessagesNotVisible"] == "1"
    call("ChangeMessageVisibility", QueueUrl=url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=1)
    account.run()
    assert account.kernel.clock.elapsed == 1
    [message] = call("ReceiveMessage", QueueUrl=url)["Messages"]
    call("DeleteMessage", QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    assert len(queue) == 0
    with pytest.raises(AwsError, match="does not exist"):
        call("SendMessage", QueueUrl=url + "x", MessageBody="a")
    with pytest.raises(AwsError, match="MaxNumberOfMessages"):
        call("ReceiveMessage", QueueUrl=url, MaxNumberOfMessages=11)
    with pytest.raises(AwsError, match="length"):
        call("SendMessage", QueueUrl=url, MessageBody="x" * 262_145)
    with pytest.raises(Unmodelled, match="WaitTimeSeconds"):
        call("ReceiveMessage", QueueUrl=url, WaitTimeSeconds=5)
