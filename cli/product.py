"""The product's own code, as far as the command line reads what it writes: functions/ is no package of its own."""

from __future__ import annotations

from caretaker.aws.errors import (
    AwsFailure,
    ConditionFailed,
    TokenGone,
    call,
)
from caretaker.releases.record import (
    Approval,
    Look,
    Records,
    Release,
    ReleaseClosed,
    ReleaseMissing,
)
from caretaker.releases.words import odds, times, to_one
from caretaker.runtime.clock import iso
from caretaker.runtime.table import Table

__all__ = [
    "Approval",
    "AwsFailure",
    "ConditionFailed",
    "Look",
    "Records",
    "Release",
    "ReleaseClosed",
    "ReleaseMissing",
    "Table",
    "TokenGone",
    "call",
    "iso",
    "odds",
    "times",
    "to_one",
]
