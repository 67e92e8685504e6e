"""AWS errors, classified once by name.

    AwsFailure                 any error that AWS answered, or no answer at all
     ├── Missing               what was named does not exist, or exists no more
     ├── Denied                the role may not do it
     ├── Throttled             too many requests; the same call may pass later
     ├── Unavailable           AWS's own failure, or no connection; the same call may pass later
     ├── Conflict              something else is happening to the resource; the same call may pass later
     ├── ConditionFailed       a conditional write did not apply; `.item` is what stands there, if AWS told
     ├── NoCapacity            AWS has no such capacity in that place now
     ├── LimitReached          a quota of the account or the resource
     ├── AlreadyDone           the call had been made before with other words (names and tokens that are taken)
     ├── TokenGone             the task token's wait is over (Step Functions: TaskTimedOut, TaskDoesNotExist)
     ├── Unsupported           not possible for this kind of resource
     └── Invalid               AWS refuses the request as such

The class names are what a Lambda function reports as error type, so state machines name them in Retry and Catch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from botocore.exceptions import ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as BotoConnectionError


class AwsFailure(Exception):
    """An AWS call that failed. `str()` is one line: operation, code, AWS's message.

    Attributes:
        code: error code on the wire, e.g. `ClusterNotFoundException`.
        operation: API operation, e.g. `DescribeTasks`.
        message: AWS's own text.
        response: the error response as botocore parsed it.
    """

    def __init__(self, operation: str, code: str, message: str, response: Mapping[str, Any] | None = None) -> None:
        super().__init__(f"{operation}: {code}: {message}")
        self.operation = operation
        self.code = code
        self.message = message
        self.response: Mapping[str, Any] = response or {}


class Missing(AwsFailure):
    """What the call names does not exist (any more)."""


class Denied(AwsFailure):
    """The role may not make this call."""


class Throttled(AwsFailure):
    """Too many requests, after botocore's own retries."""


class Unavailable(AwsFailure):
    """AWS failed, or could not be reached."""


class Conflict(AwsFailure):
    """Another change of the same resource is in progress."""


class ConditionFailed(AwsFailure):
    """A conditional write did not apply."""

    @property
    def item(self) -> Mapping[str, Any] | None:
        """The item that stands there, in DynamoDB's own form; None if there is none or AWS did not tell."""
        found = self.response.get("Item")
        return found if isinstance(found, Mapping) and found else None

    @property
    def reasons(self) -> list[Mapping[str, Any]]:
        """Of a transaction: one entry per action, in order; `Code` is `None` for those that would have passed."""
        return list(self.response.get("CancellationReasons", []))


class NoCapacity(AwsFailure):
    """No capacity of that kind in that place."""


class LimitReached(AwsFailure):
    """A quota is used up."""


class AlreadyDone(AwsFailure):
    """A name or token is taken by an earlier, different call."""


class TokenGone(AwsFailure):
    """The task that the token belongs to waits no longer."""


class Unsupported(AwsFailure):
    """Not possible for this kind of resource."""


class Invalid(AwsFailure):
    """AWS refuses the request as such."""


# Error codes as the services' API models name them (and EC2's published list of codes, which has no model).
_NAMES: dict[type[AwsFailure], tuple[str, ...]] = {
    Missing: (
        "ClusterNotFoundException",
        "ServiceNotFoundException",
        "ServiceNotActiveException",
        "ServiceDeploymentNotFoundException",
        "TaskSetNotFoundException",
        "TargetNotFoundException",
        "InvalidInstanceID.NotFound",
        "InvalidInstanceID",
        "InvalidLaunchTemplateId.NotFound",
        "InvalidLaunchTemplateName.NotFoundException",
        "InvalidSubnetID.NotFound",
        "TargetGroupNotFound",
        "LoadBalancerNotFound",
        "ListenerNotFound",
        "RuleNotFound",
        "InvalidGroup.NotFound",
        "InvalidSecurityGroupRuleId.NotFound",
        "GatewayNotFoundException",
        "ObjectNotFoundException",
        "NoSuchHostedZone",
        "WAFNonexistentItemException",
        "ParameterNotFound",
        "ResourceNotFoundException",
        "ResourceNotFound",
        "InvalidNetworkInterfaceID.NotFound",
        "ExecutionDoesNotExist",
        "StateMachineDoesNotExist",
        "NotFound",
    ),
    Denied: (
        "AccessDenied",
        "AccessDeniedException",
        "UnauthorizedOperation",
        "UnrecognizedClientException",
        "InvalidClientTokenId",
        "ExpiredToken",
        "ExpiredTokenException",
        "AuthFailure",
        "AuthorizationError",
        "OptInRequired",
    ),
    Throttled: (
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "RequestThrottled",
        "RequestThrottledException",
        "RequestLimitExceeded",
        "TooManyRequestsException",
        "ProvisionedThroughputExceededException",
        "SlowDown",
    ),
    Unavailable: (
        "InternalError",
        "InternalFailure",
        "InternalServerError",
        "InternalServerException",
        "InternalServiceException",
        "ServerException",
        "InternalServiceFault",
        "WAFInternalErrorException",
        "WAFUnavailableEntityException",
        "ServiceException",
        "ServiceUnavailable",
        "ServiceUnavailableException",
        "Unavailable",
        "RequestTimeout",
        "HealthUnavailable",
    ),
    Conflict: (
        "ConflictException",
        "DependencyViolation",
        "ResourceConflict",
        "ConcurrentUpdateException",
        "OperationAbortedException",
        "ClusterContainsCapacityProviderException",
        "ClusterContainsContainerInstancesException",
        "ClusterContainsServicesException",
        "ClusterContainsTasksException",
        "UpdateInProgressException",
        "ResourceInUse",
        "ResourceInUseException",
        "ResourceContention",
        "ResourceContentionFault",
        "ScalingActivityInProgress",
        "ScalingActivityInProgressFault",
        "IncorrectInstanceState",
        "TransactionConflictException",
        "TransactionInProgressException",
        # LaunchInstances with a token whose first call, given up by us, goes on.
        "IdempotentCallInProgress",
        "IdempotentCallInProgressFault",
    ),
    ConditionFailed: ("ConditionalCheckFailedException",),
    NoCapacity: (
        "InsufficientInstanceCapacity",
        "InsufficientHostCapacity",
        "InsufficientCapacity",
        "InsufficientFreeAddressesInSubnet",
        "UnfulfillableCapacity",
        "SpotMaxPriceTooLow",
    ),
    LimitReached: (
        "LimitExceeded",
        "LimitExceededException",
        "AttributeLimitExceededException",
        "InstanceLimitExceeded",
        "VcpuLimitExceeded",
        "MaxSpotInstanceCountExceeded",
        "ExecutionLimitExceeded",
        "TargetGroupAssociationLimit",
        "TooManyActions",
        "TooManyRegistrationsForTargetId",
        "TooManyTargets",
        "TooManyUniqueTargetGroupsPerLoadBalancer",
    ),
    AlreadyDone: (
        "ExecutionAlreadyExists",
        "IdempotentParameterMismatch",
        "IdempotentParameterMismatchError",
        "IdempotentParameterMismatchException",
    ),
    TokenGone: ("TaskTimedOut", "TaskDoesNotExist", "InvalidToken"),
    Unsupported: (
        "Unsupported",
        "UnsupportedOperation",
        "UnsupportedFeatureException",
        "PlatformTaskDefinitionIncompatibilityException",
    ),
    Invalid: (
        "ValidationError",
        "ValidationException",
        "InvalidParameterException",
        "InvalidParameterValue",
        "InvalidParameterCombination",
        "InvalidInstanceID.Malformed",
        "ClientException",
        "MissingParameter",
        "OperationNotPermitted",
        "CannotDelete",
        "InvalidArnException",
        "InvalidConfigurationRequest",
        "InvalidLoadBalancerAction",
        "InvalidNextToken",
        "IncompatibleProtocols",
        "UnsupportedProtocol",
    ),
}
_BY_NAME: dict[str, type[AwsFailure]] = {name: kind for kind, names in _NAMES.items() for name in names}


def classify(error: ClientError) -> AwsFailure:
    """The failure that a botocore error stands for; a plain `AwsFailure` when its code is not known."""
    detail = error.response.get("Error", {})
    code = detail.get("Code", "Unknown")
    message = detail.get("Message", "")
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    kind = _transaction(error.response) if code == "TransactionCanceledException" else _BY_NAME.get(code)
    if kind is None:
        kind = Unavailable if status >= 500 else AwsFailure
    return kind(error.operation_name, code, message, error.response)


def _transaction(response: Mapping[str, Any]) -> type[AwsFailure]:
    """A cancelled transaction is what its worst reason is (DynamoDB API: TransactWriteItems, cancellation reasons)."""
    codes = {reason.get("Code") for reason in response.get("CancellationReasons", [])}
    if "ConditionalCheckFailed" in codes:
        return ConditionFailed
    if "TransactionConflict" in codes:
        return Conflict
    if codes & {"ThrottlingError", "ProvisionedThroughputExceeded"}:
        return Throttled
    return Invalid


def call(method: Callable[..., Any], /, **params: Any) -> dict[str, Any]:
    """Make one AWS call: `method` is a method of a boto3 client, `params` its request. Raises an `AwsFailure`."""
    try:
        answer: dict[str, Any] = method(**params)
    except ClientError as error:
        raise classify(error) from error
    except (HTTPClientError, BotoConnectionError) as error:
        name = str(getattr(method, "__name__", "call"))
        raise Unavailable(name, type(error).__name__, str(error)) from error
    return answer
