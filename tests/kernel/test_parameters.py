"""Parameter Store: what boto3 gets to see of it, the same as from moto's where moto answers too."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from twin.errors import AwsError, Unmodelled
from twin.kernel.api import WORLD
from twin.kernel.gateway import Gateway
from twin.kernel.kernel import Kernel
from twin.kernel.parameters import Parameters


class Store:
    """A gateway with its own Parameter Store, or with moto's."""

    def __init__(self, own: bool) -> None:
        kernel = Kernel(datetime(2026, 10, 5, tzinfo=UTC), seed=1, region="us-east-1", account="123456789012")
        self.gateway = Gateway(kernel)
        self.gateway.validate_responses = own
        if own:
            Parameters(kernel, self.gateway)

    def call(self, operation: str, **params: Any) -> dict[str, Any]:
        return self.gateway.call("ssm", operation, params, WORLD)

    def put(self, name: str, value: str, **params: Any) -> dict[str, Any]:
        return self.call("PutParameter", Name=name, Value=value, Type="String", **params)


@pytest.fixture(params=[True, False], ids=["own", "moto"])
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    made = Store(request.param)
    with made.gateway.intercepted():
        yield made


@pytest.fixture
def own() -> Store:
    return Store(True)


def names(answer: dict[str, Any]) -> list[str]:
    return sorted(each["Name"] for each in answer["Parameters"])


def test_put_and_get(store: Store) -> None:
    assert store.put("/p/a", "1")["Version"] == 1
    assert store.put("/p/a", "2", Overwrite=True)["Version"] == 2
    found = store.call("GetParameter", Name="/p/a")["Parameter"]
    assert (found["Value"], found["Version"], found["Type"]) == ("2", 2, "String")
    assert found["ARN"] == "arn:aws:ssm:us-east-1:123456789012:parameter/p/a"


def test_no_overwriting_by_accident(store: Store) -> None:
    store.put("/p/a", "1")
    with pytest.raises(AwsError) as caught:
        store.put("/p/a", "2")
    assert caught.value.code == "ParameterAlreadyExists"


def test_what_is_missing(store: Store) -> None:
    with pytest.raises(AwsError) as caught:
        store.call("GetParameter", Name="/p/a")
    assert caught.value.code == "ParameterNotFound"
    store.put("/p/b", "1")
    answer = store.call("GetParameters", Names=["/p/a", "/p/b"])
    assert (names(answer), answer["InvalidParameters"]) == (["/p/b"], ["/p/a"])


def test_by_path(store: Store) -> None:
    for name in ("/p/a", "/p/b/c", "/pa/x"):
        store.put(name, "1")
    assert names(store.call("GetParametersByPath", Path="/p")) == ["/p/a"]
    assert names(store.call("GetParametersByPath", Path="/p/", Recursive=True)) == ["/p/a", "/p/b/c"]


def test_pages(own: Store) -> None:
    for number in range(7):
        own.put(f"/p/{number}", "1")
    seen, token = [], {}
    while True:
        answer = own.call("GetParametersByPath", Path="/p", MaxResults=3, **token)
        seen += names(answer)
        if "NextToken" not in answer:
            break
        token = {"NextToken": answer["NextToken"]}
    assert seen == [f"/p/{number}" for number in range(7)]


def test_deleting(store: Store) -> None:
    store.put("/p/a", "1")
    store.put("/p/b", "1")
    store.call("DeleteParameter", Name="/p/a")
    answer = store.call("DeleteParameters", Names=["/p/a", "/p/b"])
    assert (answer["DeletedParameters"], answer["InvalidParameters"]) == (["/p/b"], ["/p/a"])


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("/p/" + "/".join("x" * 20), "1", "HierarchyLevelLimitExceededException"),
        ("/p/a", "x" * 4_097, "ValidationException"),
        ("p/a", "1", "ValidationException"),
        ("/p/ä", "1", "ValidationException"),
    ],
)
def test_what_parameter_store_refuses(own: Store, name: str, value: str, code: str) -> None:
    with pytest.raises(AwsError) as caught:
        own.put(name, value)
    assert caught.value.code == code


def test_what_is_not_modelled(own: Store) -> None:
    with pytest.raises(Unmodelled):
        own.call("PutParameter", Name="/p/a", Value="1", Type="SecureString")
    with pytest.raises(Unmodelled):
        own.call("GetParameter", Name="/p/a:3")
    with pytest.raises(Unmodelled):
        own.call("DescribeParameters")


@pytest.mark.parametrize("name", ["/p/nightly run", "/p/a\u00e4", "p/a"])
def test_a_read_with_a_name_that_cannot_be_is_refused(own: Store, name: str) -> None:
    own.put("/p/a", "1")
    with pytest.raises(AwsError) as caught:
        own.call("GetParameters", Names=["/p/a", name])
    assert caught.value.code == "ValidationException"
