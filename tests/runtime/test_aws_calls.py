"""Errors by name, paging and batching: with plain functions in place of a client's methods."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError
from caretaker.aws import clients, cloudwatch, ecs, errors, stepfunctions
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
        ("RuleNotFound", errors.Missing),
        ("TaskSetNotFoundException", errors.Missing),
        ("TooManyUniqueTargetGroupsPerLoadBalancer", errors.LimitReached),
        ("InvalidLoadBalancerAction", errors.Invalid),
        ("InvalidNextToken", errors.Invalid),
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


QUERIES = [cloudwatch.Query("AWS/ApplicationELB", name, (("LoadBalancer", "app/a/1"),), "Sum") for name in "ab"]
NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def metric_pages(monkeypatch: pytest.MonkeyPatch, *answers: list[tuple[str, list[int], str]]) -> list[dict[str, Any]]:
    """CloudWatch gives out these pages of results: id, minutes after noon, status code. Returns the requests."""
    asked: list[dict[str, Any]] = []

    def get_metric_data(**params: Any) -> dict[str, Any]:
        page = answers[len(asked)]
        asked.append(params)
        results = [
            {
                "Id": name,
                "Timestamps": [NOON + timedelta(minutes=n) for n in minutes],
                "Values": [float(n) for n in minutes],
                "StatusCode": status,
            }
            for name, minutes, status in page
        ]
        return {"MetricDataResults": results} | ({"NextToken": str(len(asked))} if len(asked) < len(answers) else {})

    monkeypatch.setattr(clients, "cloudwatch", lambda: SimpleNamespace(get_metric_data=get_metric_data))
    return asked


def test_a_series_that_goes_on_in_the_next_page_is_read_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = metric_pages(
        monkeypatch,
        [("q0", [0, 1], "PartialData")],
        [("q0", [2], "Complete"), ("q1", [], "Complete")],
    )
    found = cloudwatch.get_metric_data([*QUERIES, QUERIES[0]], NOON, NOON + timedelta(minutes=5))
    assert [list(found[query].values()) for query in QUERIES] == [[0.0, 1.0, 2.0], []]
    assert [len(request["MetricDataQueries"]) for request in asked] == [2, 2]
    assert asked[1]["NextToken"] == "1"


@pytest.mark.parametrize(
    ("status", "kind"),
    [("PartialData", errors.Unavailable), ("InternalError", errors.Unavailable), ("Forbidden", errors.Denied)],
)
def test_a_series_that_is_not_whole_is_an_error(
    monkeypatch: pytest.MonkeyPatch, status: str, kind: type[AwsFailure]
) -> None:
    metric_pages(monkeypatch, [("q0", [0], "Complete"), ("q1", [0], status)])
    with pytest.raises(kind, match=f"GetMetricData: {status}: AWS/ApplicationELB b Sum"):
        cloudwatch.get_metric_data(QUERIES, NOON, NOON + timedelta(minutes=5))
