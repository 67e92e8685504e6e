"""`caretaker garbage` looks where ECS has made something, though nobody told Caretaker of it."""

from __future__ import annotations

import pytest
from rich.console import Console
from sweep_world import VPC, WIDTH, passes, shared_world, stack

from cli.garbage import show_garbage
from cli.product import Ledger
from twin.errors import WorldError
from twin.kernel.gateway import ApiFault


def test_a_vpc_of_which_the_ledger_knows_nothing_is_looked_into(capsys: pytest.CaptureFixture[str]) -> None:
    with shared_world(1) as world:

        def show() -> None:
            now = world.kernel.clock.now()
            console = Console(width=WIDTH, highlight=False)
            show_garbage(stack(), console, now=lambda: now, sleep=lambda seconds: passes(world, seconds))

        assert Ledger(stack().table).vpcs() == []
        show()
        assert f"VPC {VPC}" in capsys.readouterr().out
        fault = ApiFault("ec2", "DescribeSecurityGroups", "UnauthorizedOperation", "no", times=None)
        world.gateway.api_faults.append(fault)
        with pytest.raises(WorldError, match="the ledger knows no Express service yet"):
            show()
        told = " ".join(capsys.readouterr().err.split())
        assert "VPCs that the ledger does not know were not looked for: DescribeSecurityGroups: Unauthorized" in told
