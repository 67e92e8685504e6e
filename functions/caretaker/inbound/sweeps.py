"""Starts the sweeps that somebody asks for."""

from __future__ import annotations

from caretaker.garbage import requests
from caretaker.garbage.ledger import Ledger
from caretaker.garbage.record import Records
from caretaker.garbage.requests import Wish
from caretaker.inbound.model import SweepAsked
from caretaker.runtime import logging
from caretaker.runtime.settings import Settings
from caretaker.runtime.table import Table


def begin(reading: SweepAsked, settings: Settings, table: Table) -> None:
    """Start a sweep of the VPC, or of the VPC of the service, or say in the log why there is none.

    Raises:
        AwsFailure: something could not be read or started; the event has to come again.
        NoAttemptLeft: executions of the VPC's next sweep ended before they opened it.
    """
    entries = Ledger(table).of_service(reading.service) if reading.service else []
    vpcs = [reading.vpc] if reading.vpc else sorted({vpc for entry in entries for vpc in entry.vpcs})
    if not vpcs:
        logging.logger().info(f"nothing to do: {reading.service}: the ledger knows no Express service of that ARN")
        return
    for vpc in vpcs:
        requests.begin(Records(table), settings.sweep_machine(), vpc, Wish("request", reading.text, reading.mode))
