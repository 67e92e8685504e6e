"""Amazon ECS of the twin: store, API, service scheduler, task life cycle, container instances."""

from twin.ecs.api import Ecs
from twin.ecs.model import HealthChange, Loss
from twin.ecs.options import AgentFault, Behaviour, EcsOptions, HookFault, TaskFault

__all__ = ["AgentFault", "Behaviour", "Ecs", "EcsOptions", "HealthChange", "HookFault", "Loss", "TaskFault"]
