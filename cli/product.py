"""The product's own code, as far as the command line reads what it writes: functions/ is no package of its own."""

from __future__ import annotations

from caretaker.aws import clients
from caretaker.aws.errors import (
    AwsFailure,
    ConditionFailed,
    TokenGone,
    call,
)
from caretaker.garbage.desk import policies_of as garbage_policies
from caretaker.garbage.judging import judged
from caretaker.garbage.ledger import Ledger
from caretaker.garbage.model import Observation, Owner
from caretaker.garbage.observe import at_once as observe_now
from caretaker.garbage.record import Records as Sweeps
from caretaker.garbage.record import SweepClosed
from caretaker.garbage.savings import monthly
from caretaker.garbage.savings import told as savings_told
from caretaker.garbage.sweep import Approval as SweepApproval
from caretaker.garbage.sweep import Sweep
from caretaker.garbage.tree import Line
from caretaker.garbage.tree import lines as lines_of
from caretaker.garbage.tree import services as trees
from caretaker.garbage.verdict import Judgement
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
from caretaker.runtime.settings import Settings
from caretaker.runtime.table import Table

__all__ = [
    "Approval",
    "AwsFailure",
    "ConditionFailed",
    "Judgement",
    "Ledger",
    "Line",
    "Look",
    "Observation",
    "Owner",
    "Records",
    "Release",
    "ReleaseClosed",
    "ReleaseMissing",
    "Settings",
    "Sweep",
    "SweepApproval",
    "SweepClosed",
    "Sweeps",
    "Table",
    "TokenGone",
    "call",
    "clients",
    "garbage_policies",
    "iso",
    "judged",
    "lines_of",
    "monthly",
    "observe_now",
    "odds",
    "savings_told",
    "times",
    "to_one",
    "trees",
]
