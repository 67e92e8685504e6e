from __future__ import annotations

import pytest
from caretaker.aws.errors import ConditionFailed
from caretaker.runtime.table import Table, Write, decode_item, encode_item, standing
from hypothesis import given
from hypothesis import strategies as st

plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**15), 10**15)
    | st.floats(allow_nan=False, allow_infinity=False, width=32)
    | st.text(max_size=20)
    | st.binary(min_size=1, max_size=20)
    | st.frozensets(st.text(min_size=1, max_size=5), min_size=1, max_size=4),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(min_size=1, max_size=8), inner, max_size=4),
    max_leaves=10,
)


@given(st.dictionaries(st.text(min_size=1, max_size=8), plain, max_size=5))
def test_values_come_back_as_they_went(item: dict[str, object]) -> None:
    assert decode_item(encode_item(item)) == item


def test_whole_numbers_stay_whole() -> None:
    assert decode_item(encode_item({"a": 3, "b": 3.5, "c": True})) == {"a": 3, "b": 3.5, "c": True}
    assert decode_item(encode_item({"c": True}))["c"] is True


def test_what_cannot_be_stored_is_refused() -> None:
    with pytest.raises(TypeError, match="object cannot be stored"):
        encode_item({"a": object()})


def test_put_get_and_delete(store: Table) -> None:
    store.put({"pk": "A", "sk": "B", "status": "open", "names": frozenset({"x"})})
    assert store.get("A", "B") == {"pk": "A", "sk": "B", "status": "open", "names": frozenset({"x"})}
    store.delete("A", "B")
    assert store.get("A", "B") is None


def test_reserved_words_need_no_care(store: Table) -> None:
    item = store.update("A", "B", "SET #status = :s, #set = :s", values={":s": "open"})
    assert item["status"] == item["set"] == "open"


def test_a_failed_condition_tells_what_stands_there(store: Table) -> None:
    store.put({"pk": "A", "sk": "B", "n": 1})
    with pytest.raises(ConditionFailed) as caught:
        store.update("A", "B", "SET #n = :two", condition="#n = :zero", values={":two": 2, ":zero": 0})
    assert standing(caught.value) == {"pk": "A", "sk": "B", "n": 1}
    with pytest.raises(ConditionFailed):
        store.put({"pk": "A", "sk": "B", "n": 3}, condition="attribute_not_exists(#pk)")


def test_many_items_are_read_and_written_in_batches(store: Table) -> None:
    keys = [("A", f"{n:04}") for n in range(230)]
    store.write_many(puts=[{"pk": pk, "sk": sk, "n": int(sk)} for pk, sk in keys])
    assert len(store.get_many([*keys, ("A", "none")])) == 230
    assert [item["n"] for item in store.query("A")] == list(range(230))
    store.write_many(deletes=keys[:200])
    assert [item["sk"] for item in store.query("A", "02")] == [f"{n:04}" for n in range(200, 230)]


def test_a_query_reads_every_page(store: Table) -> None:
    for n in range(4):
        store.put({"pk": "A", "sk": str(n), "data": b"x" * 350_000})
    assert len(store.query("A")) == 4


def test_a_transaction_writes_all_or_nothing(store: Table) -> None:
    store.put({"pk": "A", "sk": "taken"})
    writes = [
        Write("Put", ("A", "new"), {"n": 1}, condition="attribute_not_exists(#pk)"),
        Write("Put", ("A", "taken"), {"n": 1}, condition="attribute_not_exists(#pk)"),
    ]
    with pytest.raises(ConditionFailed) as caught:
        store.transact(writes)
    assert [reason["Code"] for reason in caught.value.reasons] == ["None", "ConditionalCheckFailed"]
    assert store.get("A", "new") is None
