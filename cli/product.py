"""The product's own code, as far as the command line reads what it writes: functions/ is no package of its own."""

from __future__ import annotations

import sys
from pathlib import Path

FUNCTIONS = Path(__file__).resolve().parents[1] / "functions"
if str(FUNCTIONS) not in sys.path:
    sys.path.append(str(FUNCTIONS))

from caretaker.aws.errors import (  # noqa: E402
    AwsFailure,
    ConditionFailed,
    TokenGone,
    call,
)
from caretaker.releases.record import (  # noqa: E402
    Approval,
    Look,
    Records,
    Release,
    ReleaseClosed,
    ReleaseMissing,
)
from caretaker.releases.words import odds, times, to_one  # noqa: E402
from caretaker.runtime.clock import iso  # noqa: E402
from caretaker.runtime.table import Table  # noqa: E402

__all__ = [
    "FUNCTIONS",
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
