"""AWS's API models, as far as worlds name calls: does the operation exist, are the parameters those that it takes?"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import botocore.session
from botocore.exceptions import UnknownServiceError
from botocore.model import OperationNotFoundError, ServiceModel

from twin.errors import WorldError
from twin.kernel import shapes
from twin.rehearsal.reading import brief, nearest


@lru_cache(maxsize=1)
def _session() -> botocore.session.Session:
    return botocore.session.Session()


@lru_cache(maxsize=32)
def _model(service: str) -> ServiceModel:
    return _session().get_service_model(service)


def check_operation(service: str, operation: str, field: str) -> None:
    """WorldError naming `field` when AWS has no such operation."""
    try:
        model = _model(service)
    except UnknownServiceError:
        known = nearest(service, _session().get_available_services())
        raise WorldError(f"{field}: {brief(service)} is no AWS service{known}") from None
    if operation not in model.operation_names:
        known = nearest(operation, list(model.operation_names))
        raise WorldError(f"{field}: {service} has no operation {brief(operation)}{known}")


def check_params(service: str, operation: str, params: Mapping[str, Any], field: str) -> None:
    """WorldError naming `field` when the operation does not take such parameters."""
    try:
        shape = _model(service).operation_model(operation).input_shape
    except OperationNotFoundError:
        raise WorldError(f"{field}: {service} has no operation {brief(operation)}") from None
    report = shapes.request_errors(shape, params)
    if report:
        raise WorldError(f"{field}: {report.splitlines()[0]}")
