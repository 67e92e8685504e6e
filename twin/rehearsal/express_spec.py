"""What a world file may say of Express services, and what AWS leaves open about them; docs/worlds.md has the fields."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from twin.ecs.express.options import Kind, Staying
from twin.rehearsal.fields import Name, Seconds, Strict

EXPRESS_FIELDS = {"name", "cluster", "count", "image", "start_seconds", "stop_seconds", "express"}
"""What a world may say of an Express service; the rest is Express Mode's to decide."""


class LoadSpec(Strict):
    """What one of its tasks uses: percent when idle, and percent for each request a minute."""

    cpu_idle: Annotated[float, Field(ge=0, le=100)] = 0.0
    cpu_per_request: Annotated[float, Field(ge=0, le=100)] = 0.0
    memory_idle: Annotated[float, Field(ge=0, le=100)] = 0.0
    memory_per_request: Annotated[float, Field(ge=0, le=100)] = 0.0


class Express(Strict):
    """What CreateExpressGatewayService gets; what is left out is ECS's default."""

    cpu: Annotated[int, Field(ge=256, le=16_384)] | None = None
    memory: Annotated[int, Field(ge=512, le=122_880)] | None = None
    port: Annotated[int, Field(ge=1, le=65_535)] | None = None
    health_check_path: str | None = None
    min_tasks: Annotated[int, Field(ge=1, le=1_000)] = 1
    max_tasks: Annotated[int, Field(ge=1, le=1_000)] = 20
    metric: Literal["AVERAGE_CPU", "AVERAGE_MEMORY", "REQUEST_COUNT_PER_TARGET"] | None = None
    target: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    public: bool = True
    vpc: Name | None = None
    role: Name = "ecsInfrastructureRoleForExpressServices"
    log_group: str | None = None
    load: LoadSpec | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Express:
        if self.min_tasks > self.max_tasks:
            raise ValueError(f"has min_tasks {self.min_tasks} above max_tasks {self.max_tasks}")
        return self


class ExpressChoices(Strict):
    """Delays and choices of Express Mode: `ExpressOptions`."""

    step: Seconds | None = None
    load_balancer: Seconds | None = None
    retry: Seconds | None = None
    delete_tries: Annotated[int, Field(ge=1, le=100)] | None = None
    defaults: Literal["api", "guide"] | None = None
    alarm: Literal["sum", "worst"] | None = None
    shows_load_balancers: bool | None = None
    partial_container_resets: bool | None = None
    given_groups: Literal["beside", "instead"] | None = None
    existing_group: Literal["adopted", "refused"] | None = None
    default_certificate: Literal["swapped", "left"] | None = None
    reuses_balancers: bool | None = None
    leaves: list[Kind] | None = None
    failed_leaves: list[Kind] | None = None
    update_leaves: list[Kind] | None = None
    also_deletes: list[Staying] | None = None
    late: list[Kind] | None = None
    late_by: Seconds | None = None
    trail: bool | None = None
    trail_delay: Seconds | None = None
