"""Which hosts are launched, from where: none where there is room, else few, where they help, and with a reason."""

from __future__ import annotations

from caretaker.placement.choose import Offer, choose
from caretaker.placement.fit import Board
from caretaker.placement.model import Candidate, Constraint, Item, Resources
from hypothesis import given
from hypothesis import strategies as st

ZONE = "ecs.availability-zone"


def host(name: str, zone: str = "a", memory: int = 1000, **attributes: str) -> Candidate:
    return Candidate(name, zone, free=Resources(4096, memory), attributes={ZONE: zone, **attributes})


def offer(group: str, zone: str = "a", memory: int = 1000, **attributes: str) -> Offer:
    made = host("new", zone, memory, **attributes)
    return Offer(group, zone, "LaunchInstances", "m5.large", made, f"{group} in {zone}")


def item(key: str, memory: int = 400, group: str = "service:web", **more: object) -> Item:
    return Item(key, group, 100, memory, **more)


def test_nothing_is_launched_where_the_tasks_fit_on_hosts_that_stay() -> None:
    choice = choose([item("t1")], Board([host("i-1")]), [[offer("g")]], {"g": 5}, most=3)
    assert choice.launches == ()
    assert dict(choice.placed) == {"t1": "i-1"}
    assert choice.unhoused == ""


def test_the_group_and_zone_of_the_old_host_come_first_and_the_others_are_alternatives() -> None:
    home = [offer("g", "b"), offer("g", "a"), offer("h", "b")]
    choice = choose([item("t1")], Board([]), [home], {"g": 1, "h": 1}, most=3)
    (launch,) = choice.launches
    assert (launch.offer.group, launch.offer.zone) == ("g", "b")
    assert [(other.group, other.zone) for other in launch.alternatives] == [("g", "a"), ("h", "b")]
    assert launch.tasks == ("t1",)
    assert "service:web" in choice.unhoused


def test_an_alternative_that_could_not_take_the_tasks_is_none() -> None:
    only_b = Constraint("memberOf", f"attribute:{ZONE} == b")
    home = [offer("g", "b"), offer("g", "a"), offer("h", "b", memory=100)]
    (launch,) = choose([item("t1", constraints=(only_b,))], Board([]), [home], {"g": 2, "h": 2}, most=3).launches
    assert launch.alternatives == ()


def test_a_group_without_room_gives_no_host_and_another_one_does() -> None:
    home = [offer("g"), offer("h")]
    (launch,) = choose([item("t1")], Board([]), [home], {"g": 0, "h": 1}, most=3).launches
    assert launch.offer.group == "h"
    choice = choose([item("t1")], Board([]), [home], {"g": 0, "h": 0}, most=3)
    assert choice.launches == ()
    assert set(choice.unplaced) == {"t1"}


def test_a_task_that_only_one_group_can_take_gets_a_host_of_it() -> None:
    gpu = Constraint("memberOf", "attribute:kind == gpu")
    homes = [[offer("plain"), offer("gpu", kind="gpu")], [offer("gpu", kind="gpu"), offer("plain")]]
    choice = choose([item("t1", constraints=(gpu,))], Board([]), homes, {"plain": 3, "gpu": 3}, most=4)
    assert [launch.offer.group for launch in choice.launches] == ["gpu"]


def test_two_hosts_that_go_are_followed_by_two_only_if_one_is_too_small() -> None:
    homes = [[offer("g", "a")], [offer("g", "b")]]
    tasks = [item(f"t{n}") for n in range(4)]
    both = choose(tasks, Board([]), homes, {"g": 4}, most=4)
    assert sorted(launch.offer.zone for launch in both.launches) == ["a", "b"]
    one = choose(tasks[:2], Board([]), homes, {"g": 4}, most=4)
    assert len(one.launches) == 1


def test_a_task_too_large_for_any_host_says_what_it_lacks() -> None:
    choice = choose([item("t1", memory=5000)], Board([host("i-1")]), [[offer("g")]], {"g": 4}, most=4)
    assert "memory: needs 5000 MiB" in choice.unplaced["t1"]


@given(
    st.lists(st.integers(0, 800), max_size=5),
    st.lists(st.tuples(st.sampled_from("xyz"), st.integers(50, 900)), max_size=10),
    st.integers(0, 4),
    st.integers(0, 4),
)
def test_a_choice_has_a_place_for_everything_within_the_groups_room_or_launches_nothing(
    free: list[int], tasks: list[tuple[str, int]], room_g: int, room_h: int
) -> None:
    board = Board([host(f"i-{n}", "ab"[n % 2], memory) for n, memory in enumerate(free)])
    items = [item(f"t{n}", memory, f"service:{name}") for n, (name, memory) in enumerate(tasks)]
    homes = [[offer("g", "a"), offer("g", "b"), offer("h", "a")], [offer("g", "b"), offer("g", "a"), offer("h", "a")]]
    room = {"g": room_g, "h": room_h}
    choice = choose(items, board, homes, room, most=5)
    if choice.unplaced:
        assert choice.launches == ()
        return
    assert set(choice.placed) == {task.key for task in items}
    for group, limit in room.items():
        assert sum(launch.offer.group == group for launch in choice.launches) <= limit
    size = {f"i-{n}": memory for n, memory in enumerate(free)} | {launch.name: 1000 for launch in choice.launches}
    for name, memory in size.items():
        assert sum(task.memory for task in items if choice.placed[task.key] == name) <= memory
    if sum(memory for _, memory in tasks) == 0:
        assert choice.launches == ()
