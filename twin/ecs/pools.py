"""Which tasks of a service are kept at which number: all of them, or those of each deployment apart.

A rolling service is one pool: its primary deployment replaces what is not of it. Where deployments are side by side
(native releases and task sets), each is a pool of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

from twin.ecs.deployment import Deployment
from twin.ecs.model import Service, Task


@dataclass
class Pool:
    """Tasks that are kept at `desired`, within minimumHealthyPercent and maximumPercent of it.

    Attributes:
        deployment: whose tasks they are to be.
        whole: all tasks of the service belong to it, whatever deployment they are of.
    """

    service: Service
    deployment: Deployment | None
    desired: int
    whole: bool

    @property
    def tasks(self) -> list[Task]:
        every = self.service.tasks.values()
        return list(every) if self.whole else [task for task in every if task.deployment is self.deployment]

    @property
    def lower_limit(self) -> int:
        return -(-self.desired * self.service.minimum // 100)

    @property
    def upper_limit(self) -> int:
        return self.desired * self.service.maximum // 100


def pools_of(service: Service) -> list[Pool]:
    """The pools of a service, the primary deployment's first."""
    if service.side_by_side:
        return [pool_of(deployment) for deployment in service.deployments]
    return [Pool(service, service.primary, service.desired, whole=True)]


def pool_of(deployment: Deployment) -> Pool:
    """The pool of one deployment where they are side by side."""
    return Pool(deployment.service, deployment, deployment.wanted, whole=False)
