"""SQS queues and the event source mappings by which Lambda reads them.

Source: SQS developer guide ("visibility timeout", "dead-letter queues", "message timestamps"), Lambda developer guide
("Using Lambda with Amazon SQS": batching window, batch item failures, maximum concurrency), SQS API model.
"""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from twin.errors import AwsError, Unmodelled, WorldError
from twin.kernel.api import AWS_LAMBDA, Api, Call, Caller, operation
from twin.kernel.gateway import Gateway
from twin.kernel.kernel import Kernel
from twin.kernel.scheduler import Timer

_MAX_MESSAGE = 262_144
_MAX_BATCH_BYTES = 6 * 1024 * 1024
_POLL = 0.1
"""Simulated seconds from a message's arrival until a waiting poller has it. Real: long polling, typically < 100 ms."""
_UNLIMITED_POLLERS = 5
"""Concurrent batches without MaximumConcurrency: where Lambda starts; its later growth is not modelled."""


@dataclass(eq=False)
class Message:
    """A message in a queue. Times are simulated epoch milliseconds."""

    id: str
    body: str
    attributes: Mapping[str, Mapping[str, Any]]
    sent: int
    sender: str
    receive_count: int = 0
    first_received: int | None = None
    receipt: str | None = None
    source_queue: str | None = None
    returns: Timer | None = None

    @property
    def size(self) -> int:
        return len(self.body.encode())


@dataclass(eq=False)
class Queue:
    """A standard queue.

    Attributes:
        visibility: seconds that a received message stays hidden.
        retention: seconds until a message is dropped.
        delay: seconds before a new message can be received.
        dead_letter_arn, max_receive_count: redrive policy.
        waiting: messages that can be received, oldest first; hidden: those received, by receipt handle.
    """

    name: str
    arn: str
    url: str
    visibility: float = 30
    retention: float = 345_600
    delay: float = 0
    dead_letter_arn: str | None = None
    max_receive_count: int | None = None
    waiting: deque[Message] = field(default_factory=deque)
    hidden: dict[str, Message] = field(default_factory=dict)
    delayed: int = 0

    def __len__(self) -> int:
        return len(self.waiting) + len(self.hidden) + self.delayed

    def oldest_age(self, now_ms: int) -> float:
        """Seconds since the oldest message was sent (ApproximateAgeOfOldestMessage), 0 when empty."""
        sent = [message.sent for message in (*self.waiting, *self.hidden.values())]
        return (now_ms - min(sent)) / 1000 if sent else 0.0


class InvokeResult(Protocol):
    """What the Lambda runtime returns of a synchronous invocation."""

    @property
    def payload(self) -> Any: ...

    @property
    def error(self) -> Any: ...


class Invoker(Protocol):
    """The part of the Lambda runtime that an event source mapping needs."""

    def invoke(self, name_or_arn: str, payload: dict[str, Any], caller: Caller) -> InvokeResult: ...


@dataclass(eq=False)
class SourceMapping:
    """An event source mapping: one queue read by one function.

    Attributes:
        window: MaximumBatchingWindowInSeconds.
        partial: whether the function reports single failed messages (ReportBatchItemFailures).
        concurrency: MaximumConcurrency, None for none.
    """

    queue: Queue
    function: str
    batch_size: int = 10
    window: float = 0
    partial: bool = False
    concurrency: int | None = None
    enabled: bool = True
    running: int = 0
    gathering: list[Message] = field(default_factory=list)
    gather_timer: Timer | None = None
    polling: bool = False

    @property
    def free(self) -> bool:
        return self.enabled and self.running < (self.concurrency or _UNLIMITED_POLLERS)


class Queues(Api):
    """Amazon SQS and Lambda's pollers.

    Args:
        functions: the Lambda runtime; may be set later, before the first message.
    """

    def __init__(self, kernel: Kernel, gateway: Gateway, functions: Invoker | None = None) -> None:
        super().__init__()
        self.service = "sqs"
        self.kernel = kernel
        self.gateway = gateway
        self.functions = functions
        self._queues: dict[str, Queue] = {}
        self._mappings: dict[str, list[SourceMapping]] = {}
        self._rng = kernel.rng("sqs")
        gateway.register(self)

    # --- building ----------------------------------------------------------------------------------------------------
    def add(self, name: str, **settings: Any) -> Queue:
        """Create a queue; `settings` are fields of `Queue`."""
        if name in self._queues:
            raise WorldError(f"queue {name} exists twice")
        url = f"https://sqs.{self.kernel.region}.amazonaws.com/{self.kernel.account}/{name}"
        queue = Queue(name, self.kernel.arn("sqs", name), url, **settings)
        self._queues[name] = queue
        return queue

    def add_mapping(self, mapping: SourceMapping, function_timeout: float) -> None:
        """Let a function read a queue; refuses what Lambda's CreateEventSourceMapping refuses."""
        where = f"event source mapping of {mapping.function}"
        if mapping.queue.visibility < function_timeout:
            raise WorldError(
                f"{where}: queue visibility timeout {mapping.queue.visibility:g} s is less than the function timeout "
                f"{function_timeout:g} s"
            )
        if mapping.batch_size > 10 and mapping.window < 1:
            raise WorldError(
                f"{where}: BatchSize {mapping.batch_size} needs MaximumBatchingWindowInSeconds of 1 or more"
            )
        if not 1 <= mapping.batch_size <= 10_000 or not 0 <= mapping.window <= 300:
            raise WorldError(f"{where}: BatchSize {mapping.batch_size} or window {mapping.window:g} out of bounds")
        if mapping.concurrency is not None and not 2 <= mapping.concurrency <= 1000:
            raise WorldError(f"{where}: MaximumConcurrency {mapping.concurrency} is not between 2 and 1000")
        self._mappings.setdefault(mapping.queue.arn, []).append(mapping)

    def by_arn(self, arn: str) -> Queue:
        """The queue, or `AwsError` QueueDoesNotExist."""
        queue = self._queues.get(arn.rpartition(":")[2])
        if queue is None or queue.arn != arn:
            raise AwsError("AWS.SimpleQueueService.NonExistentQueue", "The specified queue does not exist.")
        return queue

    @property
    def all(self) -> list[Queue]:
        return list(self._queues.values())

    @property
    def mappings(self) -> list[SourceMapping]:
        return [mapping for mappings in self._mappings.values() for mapping in mappings]

    @property
    def open(self) -> bool:
        """Whether a message waits in, or was taken from, a queue that some enabled mapping reads."""
        return any(len(m.queue) for mappings in self._mappings.values() for m in mappings if m.enabled)

    # --- messages ----------------------------------------------------------------------------------------------------
    def send(
        self,
        queue: Queue,
        body: str,
        *,
        sender: str,
        attributes: Mapping[str, Mapping[str, Any]] | None = None,
        delay: float | None = None,
    ) -> Message:
        """Put a message into a queue, without asking for permission."""
        message = Message(self._uuid(), body, attributes or {}, self._now_ms(), sender)
        wait = queue.delay if delay is None else delay
        if wait > 0:
            queue.delayed += 1
            self.kernel.scheduler.call_later(wait, lambda: self._arrive(queue, message), name=f"sqs:delay:{queue.name}")
        else:
            self._appear(queue, message)
        self._expire_later(queue, message)
        return message

    def send_from_service(
        self,
        principal: str,
        source_arn: str,
        queue_arn: str,
        body: str,
        attributes: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> Message:
        """Send as one of AWS's services on behalf of `source_arn`; `AwsError` if there is no queue or no permission."""
        queue = self.by_arn(queue_arn)
        denied = self.gateway.iam.service_denied(principal, "sqs:SendMessage", queue_arn, source_arn)
        if denied:
            raise AwsError("AccessDenied", denied, 403)
        return self.send(queue, body, sender=principal, attributes=attributes)

    def receive(self, queue: Queue, at_most: int, visibility: float | None = None) -> list[Message]:
        """Take messages and hide them; those received too often go to the dead-letter queue instead."""
        taken: list[Message] = []
        while queue.waiting and len(taken) < at_most:
            message = queue.waiting.popleft()
            if queue.max_receive_count is not None and message.receive_count >= queue.max_receive_count:
                self._redrive(queue, message)
                continue
            message.receive_count += 1
            message.first_received = message.first_received or self._now_ms()
            message.receipt = f"{message.id}#{message.receive_count}"
            queue.hidden[message.receipt] = message
            self._hide(queue, message, queue.visibility if visibility is None else visibility)
            taken.append(message)
        return taken

    def delete(self, queue: Queue, receipt: str) -> None:
        """Delete by receipt handle; deleting what is gone, or visible again, succeeds without effect."""
        message = queue.hidden.pop(receipt, None)
        if message is not None and message.returns is not None:
            message.returns.cancel()

    def _redrive(self, queue: Queue, message: Message) -> None:
        """To the dead-letter queue: same id, same time of sending, a fresh receive count."""
        target = self.by_arn(str(queue.dead_letter_arn))
        moved = Message(message.id, message.body, message.attributes, message.sent, message.sender)
        moved.source_queue = queue.arn
        self.kernel.note(
            "message.dead", f"{queue.name}: a message was received {message.receive_count} times and given up"
        )
        self._appear(target, moved)
        self._expire_later(target, moved)

    def _hide(self, queue: Queue, message: Message, seconds: float) -> None:
        if message.returns is not None:
            message.returns.cancel()
        message.returns = self.kernel.scheduler.call_later(
            seconds, lambda: self._return(queue, message), name=f"sqs:visible:{queue.name}"
        )

    def _return(self, queue: Queue, message: Message) -> None:
        if message.receipt is not None and queue.hidden.pop(message.receipt, None) is not None:
            self._appear(queue, message)

    def _arrive(self, queue: Queue, message: Message) -> None:
        queue.delayed -= 1
        self._appear(queue, message)

    def _appear(self, queue: Queue, message: Message) -> None:
        message.receipt = None
        queue.waiting.append(message)
        for mapping in self._mappings.get(queue.arn, ()):
            self._poll_soon(mapping)

    def _expire_later(self, queue: Queue, message: Message) -> None:
        age = (self._now_ms() - message.sent) / 1000
        self.kernel.scheduler.call_later(
            queue.retention - age,
            lambda: self._expire(queue, message),
            name=f"sqs:retention:{queue.name}",
            background=True,
        )

    def _expire(self, queue: Queue, message: Message) -> None:
        if message in queue.waiting:
            queue.waiting.remove(message)
        elif message.receipt is not None:
            self.delete(queue, message.receipt)

    # --- Lambda's pollers --------------------------------------------------------------------------------------------
    def _poll_soon(self, mapping: SourceMapping) -> None:
        if mapping.polling or not mapping.free or not mapping.queue.waiting:
            return
        mapping.polling = True
        name = f"sqs:poll:{mapping.queue.name}"
        self.kernel.scheduler.call_later(self.kernel.delay(_POLL), lambda: self._poll(mapping), name=name)

    def _poll(self, mapping: SourceMapping) -> None:
        """Take what is there; without a window it is invoked at once, else gathered until the batch is full or old."""
        mapping.polling = False
        while mapping.free and mapping.queue.waiting:
            first = not mapping.gathering
            room = mapping.batch_size - len(mapping.gathering)
            mapping.gathering += self.receive(mapping.queue, min(10, room))
            if not mapping.gathering:
                return
            if mapping.window == 0 or self._is_full(mapping):
                self._start_batch(mapping)
            elif first:
                mapping.gather_timer = self.kernel.scheduler.call_later(
                    mapping.window, lambda: self._start_batch(mapping), name=f"sqs:window:{mapping.queue.name}"
                )

    @staticmethod
    def _is_full(mapping: SourceMapping) -> bool:
        size = sum(message.size for message in mapping.gathering)
        return len(mapping.gathering) >= mapping.batch_size or size >= _MAX_BATCH_BYTES

    def _start_batch(self, mapping: SourceMapping) -> None:
        if mapping.gather_timer is not None:
            mapping.gather_timer.cancel()
            mapping.gather_timer = None
        batch, mapping.gathering = mapping.gathering, []
        if batch:
            mapping.running += 1
            self.kernel.scheduler.spawn(lambda: self._invoke(mapping, batch), name=f"sqs:batch:{mapping.queue.name}")

    def _invoke(self, mapping: SourceMapping, batch: list[Message]) -> None:
        if self.functions is None:
            raise RuntimeError("queues: a mapping delivers, but the Lambda runtime was not given")
        payload = {"Records": [self.record(mapping.queue, message) for message in batch]}
        receipts = [str(message.receipt) for message in batch]
        try:
            result = self.functions.invoke(mapping.function, payload, AWS_LAMBDA)
            failed = _failed(result, mapping.partial, [message.id for message in batch])
            for message, receipt in zip(batch, receipts, strict=True):
                if message.id not in failed:
                    self.delete(mapping.queue, receipt)
        finally:
            mapping.running -= 1
            self._poll_soon(mapping)

    def record(self, queue: Queue, message: Message) -> dict[str, Any]:
        """The message as a function receives it in `Records`."""
        attributes = {
            "ApproximateReceiveCount": str(message.receive_count),
            "SentTimestamp": str(message.sent),
            "SenderId": message.sender,
            "ApproximateFirstReceiveTimestamp": str(message.first_received),
        }
        if message.source_queue:
            attributes["DeadLetterQueueSourceArn"] = message.source_queue
        return {
            "messageId": message.id,
            "receiptHandle": message.receipt,
            "body": message.body,
            "attributes": attributes,
            "messageAttributes": {
                name: {
                    "stringValue": value.get("StringValue"),
                    "stringListValues": [],
                    "binaryListValues": [],
                    "dataType": value["DataType"],
                }
                for name, value in message.attributes.items()
            },
            "md5OfBody": _md5(message.body),
            "eventSource": "aws:sqs",
            "eventSourceARN": queue.arn,
            "awsRegion": self.kernel.region,
        }

    # --- API ---------------------------------------------------------------------------------------------------------
    @operation("SendMessage", ["QueueUrl", "MessageBody", "DelaySeconds", "MessageAttributes"])
    def send_message(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        """SQS API: SendMessage."""
        queue, body = self._by_url(params["QueueUrl"]), params["MessageBody"]
        if not body or len(body.encode()) > _MAX_MESSAGE:
            raise AwsError("InvalidParameterValue", "One or more parameters are invalid. Reason: Message length.")
        message = self.send(
            queue,
            body,
            sender=call.caller.name,
            attributes=params.get("MessageAttributes", {}),
            delay=params.get("DelaySeconds"),
        )
        return {"MessageId": message.id, "MD5OfMessageBody": _md5(body)}

    @operation(
        "ReceiveMessage",
        [
            "QueueUrl",
            "MaxNumberOfMessages",
            "VisibilityTimeout",
            "WaitTimeSeconds",
            "AttributeNames",
            "MessageSystemAttributeNames",
            "MessageAttributeNames",
        ],
    )
    def receive_message(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        """SQS API: ReceiveMessage. Short polls only: a wait for messages is not modelled."""
        queue = self._by_url(params["QueueUrl"])
        if params.get("WaitTimeSeconds") and not queue.waiting:
            raise Unmodelled("sqs:ReceiveMessage: WaitTimeSeconds on an empty queue")
        at_most = params.get("MaxNumberOfMessages", 1)
        if not 1 <= at_most <= 10:
            raise AwsError("InvalidParameterValue", f"Value {at_most} for parameter MaxNumberOfMessages is invalid.")
        messages = self.receive(queue, at_most, params.get("VisibilityTimeout"))
        wanted = {*params.get("AttributeNames", ()), *params.get("MessageSystemAttributeNames", ())}
        return {"Messages": [self._received(queue, m, wanted) for m in messages]} if messages else {}

    @operation("DeleteMessage", ["QueueUrl", "ReceiptHandle"])
    def delete_message(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        """SQS API: DeleteMessage."""
        self.delete(self._by_url(params["QueueUrl"]), params["ReceiptHandle"])
        return {}

    @operation("ChangeMessageVisibility", ["QueueUrl", "ReceiptHandle", "VisibilityTimeout"])
    def change_message_visibility(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        """SQS API: ChangeMessageVisibility."""
        queue = self._by_url(params["QueueUrl"])
        message = queue.hidden.get(params["ReceiptHandle"])
        if message is None:
            raise AwsError("MessageNotInflight", "The specified message isn't in flight.")
        self._hide(queue, message, params["VisibilityTimeout"])
        return {}

    @operation("GetQueueUrl", ["QueueName"])
    def get_queue_url(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        """SQS API: GetQueueUrl."""
        return {"QueueUrl": self._by_url(params["QueueName"]).url}

    @operation("ListQueues", ["QueueNamePrefix"])
    def list_queues(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        """SQS API: ListQueues."""
        prefix = params.get("QueueNamePrefix", "")
        urls = [queue.url for name, queue in sorted(self._queues.items()) if name.startswith(prefix)]
        return {"QueueUrls": urls} if urls else {}

    @operation("GetQueueAttributes", ["QueueUrl", "AttributeNames"])
    def get_queue_attributes(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        """SQS API: GetQueueAttributes."""
        queue, wanted = self._by_url(params["QueueUrl"]), set(params.get("AttributeNames", ()))
        known = self._attributes(queue)
        extra = sorted(wanted - set(known) - {"All"})
        if extra:
            raise Unmodelled(f"sqs:GetQueueAttributes: attribute {extra[0]}")
        chosen = {name: value for name, value in known.items() if "All" in wanted or name in wanted}
        return {"Attributes": chosen} if chosen else {}

    @staticmethod
    def _attributes(queue: Queue) -> dict[str, str]:
        known = {
            "QueueArn": queue.arn,
            "ApproximateNumberOfMessages": str(len(queue.waiting)),
            "ApproximateNumberOfMessagesNotVisible": str(len(queue.hidden)),
            "ApproximateNumberOfMessagesDelayed": str(queue.delayed),
            "VisibilityTimeout": f"{queue.visibility:g}",
            "MessageRetentionPeriod": f"{queue.retention:g}",
            "DelaySeconds": f"{queue.delay:g}",
        }
        if queue.dead_letter_arn:
            redrive = {"deadLetterTargetArn": queue.dead_letter_arn, "maxReceiveCount": queue.max_receive_count}
            known["RedrivePolicy"] = json.dumps(redrive)
        return known

    def _received(self, queue: Queue, message: Message, wanted: set[str]) -> dict[str, Any]:
        system = self.record(queue, message)["attributes"]
        made: dict[str, Any] = {
            "MessageId": message.id,
            "ReceiptHandle": message.receipt,
            "MD5OfBody": _md5(message.body),
            "Body": message.body,
        }
        attributes = {name: value for name, value in system.items() if "All" in wanted or name in wanted}
        if attributes:
            made["Attributes"] = attributes
        if message.attributes:
            made["MessageAttributes"] = {name: dict(value) for name, value in message.attributes.items()}
        return made

    def _by_url(self, url: str) -> Queue:
        return self.by_arn(self.kernel.arn("sqs", url.rpartition("/")[2]))

    def _now_ms(self) -> int:
        return round(self.kernel.clock.time() * 1000)

    def _uuid(self) -> str:
        digits = f"{self._rng.getrandbits(128):032x}"
        return "-".join(digits[a:b] for a, b in ((0, 8), (8, 12), (12, 16), (16, 20), (20, 32)))


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def _failed(result: InvokeResult, partial: bool, sent: list[str]) -> Iterable[str]:
    """Ids of the messages that stay in the queue.

    Lambda developer guide, "Implementing partial batch responses": a null or empty response, or an empty or null list,
    is a complete success; a missing, empty, null or unknown itemIdentifier makes the whole batch a failure.
    """
    if result.error:
        return sent
    answer = result.payload
    if not partial or not answer:
        return ()
    if not isinstance(answer, Mapping):
        return sent
    items = answer.get("batchItemFailures")
    if not items:
        return ()
    if not isinstance(items, list):
        return sent
    names: list[Any] = [item.get("itemIdentifier") if isinstance(item, Mapping) else None for item in items]
    return names if all(name in sent for name in names) else sent
