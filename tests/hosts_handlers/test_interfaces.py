"""Network interfaces are counted by what the hosts' tasks really use."""

from __future__ import annotations

from small_world import OLD, in_group, rehearse, small

IDS = [OLD, "i-0a1b2c3d4e5f60002", "i-0a1b2c3d4e5f60003"]


def services(vpc_tasks: int) -> list[dict[str, object]]:
    """Many small tasks in bridge mode, and some with an interface of their own (m5.large: two for tasks a host)."""
    many = {"name": "many", "desired_count": 12, "cpu": 64, "memory": 64}
    own = {"name": "own", "desired_count": vpc_tasks, "cpu": 64, "memory": 64, "network_mode": "awsvpc"}
    return [many, own]


def test_tasks_in_bridge_mode_use_no_interface_of_a_host_that_stays() -> None:
    groups = in_group(desired_capacity=3, max_size=5, instances=IDS)
    run = rehearse(small(groups=groups, services=services(3)))
    assert run.outcomes == ["replaced"], run.reason
    assert run.broken == []
    assert "launched none" in run.reason


def test_a_host_is_launched_where_no_interface_is_free() -> None:
    groups = in_group(desired_capacity=3, max_size=5, instances=IDS)
    run = rehearse(small(groups=groups, services=services(6)))
    assert run.outcomes == ["replaced"], run.reason
    assert run.broken == []
    assert "launched none" not in run.reason
