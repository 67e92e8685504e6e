"""Events of CloudTrail about calls of Express Mode.

Sources: Amazon ECS Developer Guide, "Amazon ECS events" (Create-, Update- and DeleteExpressGatewayService come as "AWS
API Call via CloudTrail"); EventBridge user guide, "AWS service events delivered via AWS CloudTrail" (best effort, needs
a trail); CloudTrail user guide, "CloudTrail record contents". No sample of these three has been published: requests and
answers are written with the API's member names. Worlds lose, double, delay and reorder these events as any other.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from twin.errors import AwsError
from twin.kernel.api import Call, Caller
from twin.kernel.clock import iso

if TYPE_CHECKING:
    from twin.ecs.engine import Engine

DETAIL_TYPE = "AWS API Call via CloudTrail"


class Trail:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._rng = engine.kernel.rng("ecs/trail")

    def tell(self, call: Call, response: Mapping[str, Any] | None, error: AwsError | None = None) -> None:
        """Tell of a call that changes something, after a while; `error` if it was refused."""
        engine, options = self._engine, self._engine.options.express
        if not options.trail or not engine.kernel.settled:
            return
        kernel = engine.kernel
        detail: dict[str, Any] = {
            "eventVersion": "1.11",
            "userIdentity": _identity(call, kernel.account),
            "eventTime": kernel.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ"),
            "eventSource": "ecs.amazonaws.com",
            "eventName": call.operation,
            "awsRegion": kernel.region,
            "requestParameters": _plain(call.params),
            "responseElements": _plain(response) if response is not None else None,
            "eventID": self._id(),
            "readOnly": False,
            "eventType": "AwsApiCall",
            "managementEvent": True,
            "recipientAccountId": kernel.account,
            "eventCategory": "Management",
        }
        if error is not None:
            detail |= {"errorCode": error.code, "errorMessage": error.message}
        name = f"cloudtrail:{call.operation}"
        engine.later(options.trail_delay, lambda: engine.bus.emit("aws.ecs", DETAIL_TYPE, detail, []), name)

    def _id(self) -> str:
        digits = f"{self._rng.getrandbits(128):032x}"
        return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _identity(call: Call, account: str) -> dict[str, Any]:
    """Who called; what AWS does for somebody (CloudFormation) is said to be that one's call."""
    if call.caller.kind == "aws":
        caller, invoked = call.origin.caller, {"invokedBy": f"{call.caller.name}.amazonaws.com"}
        return {**_principal(caller, account), **invoked}
    return _principal(call.caller, account)


def _principal(caller: Caller, account: str) -> dict[str, Any]:
    if caller.role_arn is not None:
        role = caller.role_arn.rpartition("/")[2]
        arn = f"arn:aws:sts::{account}:assumed-role/{role}/{caller.name}"
        return {"type": "AssumedRole", "arn": arn, "accountId": account}
    user = f"arn:aws:iam::{account}:user/{caller.name}"
    return {"type": "IAMUser", "arn": user, "accountId": account, "userName": caller.name}


def _plain(value: Any) -> Any:
    """As JSON has it."""
    if isinstance(value, datetime):
        return iso(value)
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return value
