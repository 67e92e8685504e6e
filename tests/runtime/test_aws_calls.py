"""Errors by name, paging and batching: with plain functions in place of a client's methods."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError
from caretaker.aws import ecs, errors, stepfunctions
from caretaker.aws.errors import AwsFailure, call, classify
from caretaker.aws.paging import batches, gather, pages
from hypothesis import given
from hypothesis import strategies as st


def client_error(code: str, status: int = 400, **members: Any) -> ClientError:
    response = {"Error": {"Code": code, "Message": "words"}, "ResponseMetadata": {"HTTPStatusCode": status}, **members}
    return ClientError(response, "DescribeTasks")


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("ClusterNotFoundException", errors.Missing),
        ("InvalidInstanceID.NotFound", errors.Missing),
        ("AccessDeniedException", errors.Denied),
        ("UnauthorizedOperation", errors.Denied),
        ("ThrottlingException", errors.Throttled),
        ("RequestLimitExceeded", errors.Throttled),
        ("ServerException", errors.Unavailable),
        ("ScalingActivityInProgress", errors.Conflict),
        ("ConditionalCheckFailedException", errors.ConditionFailed),
        ("InsufficientInstanceCapacity", errors.NoCapacity),
        ("LimitExceeded", errors.LimitReached),
        ("ExecutionAlreadyExists", errors.AlreadyDone),
        ("TaskTimedOut", errors.TokenGone),
        ("UnsupportedOperation", errors.Unsupported),
        ("ValidationError", errors.Invalid),
    ],
)
def test_errors_are_classified_by_name(code: str, kind: type[AwsFailure]) -> None:
    failure = classify(client_error(code))
    assert type(failure) is kind
    assert str(failure) == f"DescribeTasks: {code}: words"


def test_an_unknown_code_is_plain_unless_it_is_aws_own_fault() -> None:
    assert type(classify(client_error("NeverSeen"))) is AwsFailure
    assert type(classify(client_error("NeverSeen", 503))) is errors.Unavailable


def test_no_code_has_two_meanings() -> None:
    names = [name for row in errors._NAMES.values() for name in row]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("codes", "kind"),
    [
        (["None", "ConditionalCheckFailed"], errors.ConditionFailed),
        (["TransactionConflict", "None"], errors.Conflict),
        (["ThrottlingError"], errors.Throttled),
        (["ItemCollectionSizeLimitExceeded"], errors.Invalid),
    ],
)
def test_a_cancelled_transaction_is_what_its_reasons_say(codes: list[str], kind: type[AwsFailure]) -> None:
    reasons = [{"Code": code} for code in codes]
    assert type(classify(client_error("TransactionCanceledException", CancellationReasons=reasons))) is kind


def test_a_lost_connection_is_unavailable() -> None:
    def method() -> None:
        raise ReadTimeoutError(endpoint_url="https://ecs")

    with pytest.raises(errors.Unavailable, match="ReadTimeoutError"):
        call(method)


def listing(count: int, size: int) -> Any:
    def method(**params: Any) -> dict[str, Any]:
        start = int(params.get("nextToken", "0"))
        following = {"nextToken": str(start + size)} if start + size < count else {}
        return {"arns": [str(n) for n in range(start, min(count, start + size))], **following}

    return method


@given(count=st.integers(0, 50), size=st.integers(1, 12))
def test_a_listing_is_read_to_its_end(count: int, size: int) -> None:
    assert pages(listing(count, size), "arns") == [str(n) for n in range(count)]


def test_a_listing_that_repeats_its_token_is_an_error() -> None:
    with pytest.raises(AwsFailure, match="EndlessListing"):
        pages(lambda **_params: {"arns": ["a"], "nextToken": "same"}, "arns")


@given(count=st.integers(0, 250), size=st.integers(1, 100))
def test_a_batch_call_keeps_its_limit_and_returns_every_failure(count: int, size: int) -> None:
    sizes: list[int] = []

    def method(cluster: str, tasks: list[str]) -> dict[str, Any]:
        sizes.append(len(tasks))
        odd = [name for name in tasks if int(name) % 2]
        return {
            "tasks": [{"taskArn": name} for name in tasks if not int(name) % 2],
            "failures": [{"arn": name, "reason": "MISSING"} for name in odd],
        }

    names = [str(n) for n in range(count)]
    found = gather(method, "tasks", names, size, "tasks", cluster="shop")
    assert sorted([item["taskArn"] for item in found.items] + found.missing, key=int) == names
    assert found.unreadable() == []
    assert all(1 <= taken <= size for taken in sizes)
    assert len(list(batches(names, size))) == len(sizes)


def test_instances_are_looked_for_in_ecs_own_query_language() -> None:
    assert ecs.instance_query(["i-1"]) == "ec2InstanceId == i-1"
    assert ecs.instance_query(["i-1", "i-2"]) == "ec2InstanceId in [i-1, i-2]"


@pytest.mark.parametrize("suffix", ["", ":live", ":3"])
def test_an_execution_belongs_to_the_machine_whatever_started_it(suffix: str) -> None:
    machine = f"arn:aws:states:us-east-1:123456789012:stateMachine:replace{suffix}"
    assert (
        stepfunctions.execution_arn(machine, "work-1")
        == "arn:aws:states:us-east-1:123456789012:execution:replace:work-1"
    )


def test_what_is_no_machine_is_refused() -> None:
    with pytest.raises(ValueError, match="'arn:aws:states'"):
        stepfunctions.execution_arn("arn:aws:states", "work-1")
