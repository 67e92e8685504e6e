"""What every message to people has in common."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

# SNS API: Publish: a subject is ASCII, less than 100 characters, without line breaks.
MAX_SUBJECT = 99


def subject(text: str) -> str:
    """A subject as SNS takes it."""
    return text.encode("ascii", "replace").decode("ascii")[:MAX_SUBJECT]


def cause_of(failure: Mapping[str, Any]) -> str:
    """A caught error in words: a function's own message out of the payload that Lambda wraps it in."""
    error, cause = str(failure.get("Error") or "unknown error"), str(failure.get("Cause") or "")
    try:
        wrapped = json.loads(cause)
    except ValueError:
        wrapped = None
    if isinstance(wrapped, dict) and "errorMessage" in wrapped:
        cause = str(wrapped["errorMessage"])
    return f"{error}: {cause}" if cause else error
