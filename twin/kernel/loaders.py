"""AWS's API models, read once per process: reading them is most of what a boto3 client costs."""

from __future__ import annotations

from functools import lru_cache

import botocore.session
from botocore.loaders import Loader, create_loader


@lru_cache(maxsize=8)
def shared_loader(search_path: str | None = None) -> Loader:
    """The loader of botocore's models; `search_path` as botocore's `data_path` setting has it."""
    return create_loader(search_path)


def share() -> None:
    """Let every session of botocore that is made from now on use the shared loader."""
    botocore.session.create_loader = shared_loader
