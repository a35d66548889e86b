"""Keys that are written in two ways, `tagged_addresses` and `TaggedAddresses` or `taggedAddresses`."""

import re
from typing import Any

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def snake_key(key: str) -> str:
    """The key in lower case, with underscores between its words."""
    return _CAMEL.sub("_", key).lower()


def snake(said: dict[str, Any]) -> dict[str, Any]:
    """The mapping by such keys; ValueError when one stands there in both ways."""
    known = {snake_key(key): value for key, value in said.items()}
    if len(known) < len(said):
        raise ValueError("has a key in two spellings; remove one of them")
    return known
