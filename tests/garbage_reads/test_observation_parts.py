"""An observation is read in parts, by functions that may die or run twice, and comes out the same."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
from caretaker.aws.listing import Listing, Page
from caretaker.garbage import blobs, observe, plain
from caretaker.garbage.blobs import BlobBroken
from caretaker.garbage.model import Observation
from caretaker.garbage.observe import ObservationMissing, ObservationOpen
from caretaker.garbage.sheet import Sheet
from reads_stage import LEAVING, Stage, staged


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with pytest.MonkeyPatch.context() as patch:
        stage = Stage(LEAVING)
        with staged(patch, stage):
            stage.up("web", "web-api")
            stage.record("web", "web-api")
            stage.delete("web")
            stage.run(4_000)
            stage.record("web")
            yield stage


def same(one: Observation, other: Observation) -> None:
    assert one.resources == other.resources
    assert one.references == other.references
    assert one.claims == other.claims
    assert one.owners == other.owners
    assert [replace(each, at="") for each in one.readings] == [replace(each, at="") for each in other.readings]


class DiedError(Exception):
    """The function's process is gone."""


def test_a_part_whose_function_dies_is_read_again(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    clean, real, calls = stage.observe(), observe.page, 0

    def page(listing: Listing, params: Mapping[str, Any], token: Mapping[str, Any]) -> Page:
        nonlocal calls
        calls += 1
        if calls % 23 == 0:
            raise DiedError
        return real(listing, params, token)

    monkeypatch.setattr(observe, "page", page)
    observe.begin(stage.store, "dying", stage.vpc, stage.now)
    more, deaths = True, 0
    while more:
        observe.begin(stage.store, "dying", stage.vpc, stage.now)  # as the function does each time
        # So few calls a part that some parts get through.
        left = iter(range(60_000, 0, -3_000))
        try:
            more = stage.within(
                lambda left=left: observe.step(stage.store, "dying", stage.now, lambda: next(left))
            ).more  # type: ignore[misc]
        except DiedError:
            deaths += 1
        stage.run(30)
    assert deaths > 1
    same(observe.load(stage.store, "dying"), clean)


def test_a_part_that_is_read_twice_at_a_time_counts_once(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    clean, store = stage.observe(), stage.store
    observe.begin(store, "twice", stage.vpc, stage.now)
    real, nested = observe._run, []

    def run(*given: Any) -> None:
        if not nested:
            nested.append(True)
            observe.step(store, "twice", stage.now)
        real(*given)

    monkeypatch.setattr(observe, "_run", run)
    while stage.within(lambda: observe.step(store, "twice", stage.now)).more:
        stage.run(10)
    same(observe.load(store, "twice"), clean)


def test_one_that_comes_second_does_not_say_that_the_end_was_reached(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first one may have been throttled where the second one was not."""
    store = stage.store
    observe.begin(store, "second", stage.vpc, stage.now)
    sheets: list[Sheet] = []

    def run(sheet: Sheet, *given: Any) -> None:
        sheets.append(sheet)
        if len(sheets) == 1:
            assert observe.step(store, "second", stage.now).more  # which reads nothing
            sheet.tasks.clear()  # the end

    monkeypatch.setattr(observe, "_run", run)
    assert stage.within(lambda: observe.step(store, "second", stage.now)).more
    with pytest.raises(ObservationOpen):
        observe.load(store, "second")


def test_an_environment_holds_one_observation_at_a_time(stage: Stage) -> None:
    for name in ("one", "other"):
        observe.begin(stage.store, name, stage.vpc, stage.now)
        assert stage.within(lambda name=name: observe.step(stage.store, name, stage.now, lambda: 0)).more  # type: ignore[misc]
    assert [key[0] for key in observe._warm] == ["OBSERVATION#other"]
    assert observe._taken(observe._cursor(stage.store, "one")) is None
    assert not observe._warm


def test_an_environment_that_begins_anew_knows_what_one_that_goes_on_knows(stage: Stage) -> None:
    """What a part adds to the table and what it leaves in memory are the same, part for part."""
    clean, store = stage.observe(), stage.store
    observe.begin(store, "parts", stage.vpc, stage.now)
    parts, more = 0, True
    while more:
        left = iter(range(60_000, 0, -3_000))
        more = stage.within(lambda left=left: observe.step(store, "parts", stage.now, lambda: next(left))).more  # type: ignore[misc]
        if more:
            (goes_on,) = observe._warm.values()
            anew = observe._sheet(store, observe._cursor(store, "parts"), stage.now)
            assert replace(anew, at="", claims=[]) == replace(goes_on, at="", claims=[])
            assert list(anew.references) == list(goes_on.references)
            parts += 1
        if parts % 2:
            observe._warm.clear()
        stage.run(30)
    assert parts > 3
    assert not observe._warm
    same(observe.load(store, "parts"), clean)


def test_an_observation_that_has_ended_is_read_no_further(stage: Stage) -> None:
    stage.observe("ended")
    before = len(stage.kernel.calls)
    progress = stage.within(lambda: observe.step(stage.store, "ended", stage.now))
    assert (progress.more, progress.calls) == (False, 0)
    assert {call.service for call in stage.kernel.calls[before:]} == {"dynamodb"}


def test_an_observation_that_is_not_whole_is_not_given(stage: Stage) -> None:
    with pytest.raises(ObservationMissing, match="never"):
        observe.load(stage.store, "never")
    observe.begin(stage.store, "begun", stage.vpc, stage.now)
    with pytest.raises(ObservationOpen, match="begun"):
        observe.load(stage.store, "begun")


def test_an_observation_is_the_same_as_json(stage: Stage) -> None:
    seen = stage.observe()
    assert plain.observation_from(plain.observation(seen)) == seen


def test_who_looks_on_sees_the_same(stage: Stage) -> None:
    clean = stage.observe()
    entries = stage.ledger.entries(stage.vpc)
    seen = stage.within(
        lambda: observe.at_once(
            stage.vpc, entries, stage.now, lambda progress: stage.kernel.scheduler.sleep(progress.seconds)
        )
    )
    same(seen, clean)


# --- large documents -------------------------------------------------------------------------------------------------


def test_a_large_document_is_kept_in_pieces(stage: Stage) -> None:
    document = [str(random.Random(n).random()) for n in range(90_000)]
    big, small = (blobs.keep(stage.store, "P", "BIG", each, 1) for each in (document, ["short"]))
    assert len(stage.store.query("P", f"{big}#")) > 1
    assert blobs.kept(stage.store, "P", "BIG", [small, "BIG-of-nobody", big]) == {small: ["short"], big: document}
    assert blobs.kept(stage.store, "P", "BIG", [small]) == {small: ["short"]}


def test_a_document_that_was_cut_short_is_told(stage: Stage) -> None:
    cut = blobs.keep(stage.store, "P", "CUT", [str(random.Random(n).random()) for n in range(90_000)], 1)
    stage.store.delete("P", f"{cut}#001")
    with pytest.raises(BlobBroken, match=r"P CUT-.* pieces; write it again"):
        blobs.kept(stage.store, "P", "CUT", [cut])
