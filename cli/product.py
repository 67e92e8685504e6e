"""The product's own code, as far as the command line reads what it writes: functions/ is no package of its own."""

from __future__ import annotations

from caretaker.aws import clients, ec2, ecs
from caretaker.aws.errors import (
    AwsFailure,
    ConditionFailed,
    Invalid,
    Missing,
    Throttled,
    TokenGone,
    Unavailable,
    call,
)
from caretaker.garbage import express
from caretaker.garbage.desk import policies_of as garbage_policies
from caretaker.garbage.detach import MANAGED
from caretaker.garbage.express import Managed
from caretaker.garbage.inventory import Entry as LedgerEntry
from caretaker.garbage.judging import judged
from caretaker.garbage.ledger import Ledger
from caretaker.garbage.look import when
from caretaker.garbage.look_ecs import IN_FLIGHT
from caretaker.garbage.model import Claim, Identity, Kind, Life, Observation, Owner, Reading, Verdict
from caretaker.garbage.observe import at_once as observe_now
from caretaker.garbage.record import Records as Sweeps
from caretaker.garbage.record import SweepClosed
from caretaker.garbage.report import act_words
from caretaker.garbage.savings import monthly
from caretaker.garbage.savings import told as savings_told
from caretaker.garbage.sweep import Act, Ground, Sweep
from caretaker.garbage.tree import GONE, Line, unseen
from caretaker.garbage.tree import lines as lines_of
from caretaker.garbage.tree import services as trees
from caretaker.garbage.unowned import unowned
from caretaker.garbage.verdict import Judgement
from caretaker.garbage.words import bare, name_in, short
from caretaker.releases.record import (
    Look,
    Records,
    Release,
    ReleaseClosed,
    ReleaseMissing,
)
from caretaker.releases.words import odds, times, to_one
from caretaker.runtime.approval import Approval
from caretaker.runtime.clock import iso, parse
from caretaker.runtime.policy import SweepMode
from caretaker.runtime.settings import Settings
from caretaker.runtime.table import Table

__all__ = [
    "GONE",
    "IN_FLIGHT",
    "MANAGED",
    "Act",
    "Approval",
    "AwsFailure",
    "Claim",
    "ConditionFailed",
    "Ground",
    "Identity",
    "Invalid",
    "Judgement",
    "Kind",
    "Ledger",
    "LedgerEntry",
    "Life",
    "Line",
    "Look",
    "Managed",
    "Missing",
    "Observation",
    "Owner",
    "Reading",
    "Records",
    "Release",
    "ReleaseClosed",
    "ReleaseMissing",
    "Settings",
    "Sweep",
    "SweepClosed",
    "SweepMode",
    "Sweeps",
    "Table",
    "Throttled",
    "TokenGone",
    "Unavailable",
    "Verdict",
    "act_words",
    "bare",
    "call",
    "clients",
    "ec2",
    "ecs",
    "express",
    "garbage_policies",
    "iso",
    "judged",
    "lines_of",
    "monthly",
    "name_in",
    "observe_now",
    "odds",
    "parse",
    "savings_told",
    "short",
    "times",
    "to_one",
    "trees",
    "unowned",
    "unseen",
    "when",
]
