"""InboundReleaseImage: has pushed images released where a service's policy asks for it."""

from __future__ import annotations

from typing import Any

from caretaker.aws.errors import AwsFailure
from caretaker.inbound import images
from caretaker.releases import push as pushes
from caretaker.runtime import clock, logging
from caretaker.runtime.settings import Settings
from caretaker.runtime.table import table


class NotAllReleased(Exception):
    """Some services could not be given the image; Lambda runs the function again. `str()` names them."""


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Give the image to every service that asked for it; one that fails does not stop the others.

    Raises:
        NotAllReleased: says for which services it failed, and why.
    """
    settings = Settings.from_env()
    logging.bind()
    try:
        push = pushes.read(event)
    except pushes.BadPush as error:
        logging.logger().error(f"event refused: {error}")
        return {"released": {}}
    if push is None:
        return {"released": {}}
    store = table(settings.table_name)
    partition = settings.topic_arn.split(":")[1]
    done: dict[str, str] = {}
    failed: list[str] = []
    for one in images.subscribers(push, settings, store, partition):
        try:
            done[one.name] = images.release(push, one, settings, store, clock.event_time(event))
        except AwsFailure as error:
            failed.append(f"{one.name}: {error}")
        else:
            logging.logger().info(f"{one.name} {done[one.name]}", extra={"image": str(push)})
    if failed:
        raise NotAllReleased("; ".join(failed))
    return {"released": done}
