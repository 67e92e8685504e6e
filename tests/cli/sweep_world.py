"""A world in which one of three sharers of a load balancer is deleted, and ECS leaves its things behind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cli.stack import Stack
from twin.kernel.api import Caller
from twin.rehearsal.loading import load_world
from twin.rehearsal.rehearsal import Rehearsal
from twin.world import World

WORLD = Path(__file__).resolve().parents[2] / "worlds" / "sweep_shared.yaml"
OPERATOR = Caller("operator", "olga")
VPC = "vpc-0123456789abcdef0"
WIDTH = 100
ALIVE = 590.0
"""Seconds after the start: every service lives."""
LEFT_BEHIND = 1900.0
"""The grace is over, the first observation is made, nothing is deleted yet."""


@contextmanager
def shared_world(seconds: float) -> Iterator[World]:
    """The world after so many seconds, as the AWS to which the command line's own calls go."""
    with pytest.MonkeyPatch.context() as patch, Rehearsal(load_world(WORLD), []) as rehearsal:
        world = rehearsal.world
        key, secret = world.gateway.credentials(OPERATOR)
        given = {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret, "AWS_DEFAULT_REGION": "us-east-1"}
        for name, value in given.items():
            patch.setenv(name, value)
        patch.delenv("AWS_SESSION_TOKEN", raising=False)
        passes(world, seconds)
        yield world


def passes(world: World, seconds: float) -> None:
    """Let time pass in the world."""
    until = world.kernel.clock.elapsed + seconds
    world.kernel.scheduler.call_at(until, lambda: None, name="test")
    world.kernel.scheduler.run(until)


def stack() -> Stack:
    return Stack("caretaker")
