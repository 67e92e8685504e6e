"""A world's faults, handed to the parts of the twin that let them strike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twin.ecs.express.options import RoleFault
from twin.ecs.options import AgentFault, TaskFault
from twin.errors import Unmodelled, WorldError
from twin.kernel import bus
from twin.kernel.endless import Endless, endless
from twin.kernel.gateway import ApiFault, Death
from twin.neighbours.ec2 import CapacityFault, LaunchFault
from twin.rehearsal import spec as specs
from twin.rehearsal.apimodel import check_operation
from twin.rehearsal.reading import brief, nearest

if TYPE_CHECKING:
    from twin.world import World


def task_faults(spec: specs.WorldSpec) -> tuple[TaskFault, ...]:
    families = {task.family for task in spec.tasks}
    return tuple(_task_fault(fault, families) for fault in spec.faults if isinstance(fault, _TASK_FAULTS))


_TASK_FAULTS = (specs.TaskStartFailsFault, specs.TaskNeverHealthyFault, specs.SlowPullFault)


def _task_fault(
    fault: specs.TaskStartFailsFault | specs.TaskNeverHealthyFault | specs.SlowPullFault, families: set[str]
) -> TaskFault:
    standalone = fault.service in families
    service = None if standalone else fault.service
    family = fault.service if standalone else None
    if isinstance(fault, specs.TaskStartFailsFault):
        return TaskFault("start_fails", service, family, times=fault.times, after=fault.after, until=fault.until)
    if isinstance(fault, specs.TaskNeverHealthyFault):
        return TaskFault("never_healthy", service, family, after=fault.after, until=fault.until)
    return TaskFault("slow_pull", service, family, factor=fault.factor, after=fault.after, until=fault.until)


def agent_faults(spec: specs.WorldSpec) -> tuple[AgentFault, ...]:
    found: list[AgentFault] = []
    for fault in spec.faults:
        if isinstance(fault, specs.AgentNeverConnectsFault):
            kind = "never_connects" if fault.kind == "agent_never_connects" else "never_registers"
            found.append(AgentFault(kind, fault.instance, fault.group, after=fault.after, until=fault.until))  # type: ignore[arg-type]
        elif isinstance(fault, specs.AgentDisconnectsFault):
            seconds = None if fault.until is None else fault.until - fault.after
            found.append(AgentFault("disconnects", fault.instance, seconds=seconds, after=fault.after))
    return tuple(found)


def capacity_faults(spec: specs.WorldSpec) -> list[CapacityFault]:
    return [
        CapacityFault(fault.zone, fault.instance_type, fault.after, fault.until, fault.left)
        for fault in spec.faults
        if isinstance(fault, specs.InsufficientCapacityFault)
    ]


def launch_faults(spec: specs.WorldSpec) -> list[LaunchFault]:
    return [
        LaunchFault(fault.group, fault.times, fault.after, fault.until)
        for fault in spec.faults
        if isinstance(fault, specs.LaunchFailsFault)
    ]


def role_faults(spec: specs.WorldSpec) -> tuple[RoleFault, ...]:
    """What the infrastructure role of Express services lacks."""
    return tuple(
        RoleFault(fault.action, fault.after, fault.until)
        for fault in spec.faults
        if isinstance(fault, specs.RoleLacksFault)
    )


def strike(world: World) -> None:
    """Arm the faults of the gateway and the bus. WorldError for a function that the template does not have."""
    functions = [created.logical_id for created in world.deployment.of_type("AWS::Lambda::Function")]
    for index, fault in enumerate(world.spec.faults):
        field = f"faults[{index}].function"
        if isinstance(fault, specs.ApiErrorFault):
            if fault.function is not None:
                _check_function(field, fault.function, functions)
            world.gateway.api_faults.append(
                ApiFault(
                    service=fault.service,
                    operation=fault.operation,
                    code=fault.code,
                    message=fault.message,
                    caller=fault.function or fault.aws,
                    times=fault.times,
                    after=fault.after,
                    until=fault.until,
                )
            )
        elif isinstance(fault, specs.EndlessListingFault):
            world.gateway.endless.append(_endless(fault, f"faults[{index}]", functions))
        elif isinstance(fault, specs.FunctionDiesFault):
            _check_function(field, fault.function, functions)
            world.gateway.deaths.append(Death(fault.function, fault.service, fault.operation, fault.when, fault.nth))
        elif isinstance(fault, specs.EventFault):
            world.bus.faults.append(_event_fault(fault))


def _endless(fault: specs.EndlessListingFault, field: str, functions: list[str]) -> Endless:
    if fault.function is not None:
        _check_function(f"{field}.function", fault.function, functions)
    check_operation(fault.service, fault.operation, f"{field}.operation")
    try:
        return endless(fault.service, fault.operation, function=fault.function, after=fault.after, until=fault.until)
    except Unmodelled as error:
        raise WorldError(f"{field}.operation: {error}") from None


def _check_function(field: str, name: str, functions: list[str]) -> None:
    if name not in functions:
        raise WorldError(f"{field}: {brief(name)} is no function of the template{nearest(name, functions)}")


def _event_fault(fault: specs.EventFault) -> bus.EventFault:
    kind = fault.kind.removeprefix("event_")
    return bus.EventFault(
        kind,  # type: ignore[arg-type]
        detail_type=fault.detail_type,
        probability=fault.probability,
        seconds=fault.delay,
        times=fault.times,
        after=fault.after,
        until=fault.until,
    )
