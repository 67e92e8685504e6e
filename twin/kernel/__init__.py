"""The twin's kernel.

moto's interpreter imports moto's AWS Batch, and with it moto's EC2 with all its instance types and zones: a third of
the time that the twin takes to start. The twin models no Batch, so a module that says so is put in its place.
"""

import sys
from types import ModuleType

from twin.errors import Unmodelled


class _NoBatch:
    def __init__(self) -> None:
        raise Unmodelled("state machines that call AWS Batch")


def _leave_out_batch() -> None:
    services = "moto.stepfunctions.parser.asl.component.state.exec.state_task.service"
    module = ModuleType(f"{services}.state_task_service_batch")
    module.StateTaskServiceBatch = _NoBatch  # type: ignore[attr-defined]
    sys.modules.setdefault(module.__name__, module)


_leave_out_batch()
