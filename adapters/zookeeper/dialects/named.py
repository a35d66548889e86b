"""Marks in the names of znodes, for dialects whose data have no place for one that every reader lets pass.

`registry-bridge~1~prod-eu1~10.0.0.1:8080`, and where the endpoint came through others, `…~first+second`. Neither an
owner nor an address holds a `~`.
"""

import re
from typing import Final

from bridge.adapter import RecordKey
from bridge.kit import mark
from bridge.kit.mark import FORMAT, Stamp
from bridge.model import Endpoint

_NAME: Final = re.compile(r"registry-bridge~([0-9]{1,6})~([-._A-Za-z0-9]{1,63})~([!-.0-~]+)", re.ASCII)


def stem(endpoint: Endpoint) -> str:
    """What tells the endpoint from others, and through whom it came."""
    return f"{endpoint.id}~{endpoint.via.replace(' ', '+')}" if endpoint.via else str(endpoint.id)


def name(stem: str, owner: str) -> str:
    return f"registry-bridge~{FORMAT}~{owner}~{stem}"


def stamp(name: str) -> Stamp | None:
    """The mark in a name, None when there is none."""
    found = _NAME.fullmatch(name)
    return Stamp(found[2], RecordKey(found[3]), int(found[1])) if found else None


def via_of(stamp: Stamp | None) -> str:
    """Through whom what has that stamp came; ValueError when it names no bridges."""
    owners = stamp.key.partition("~")[2] if stamp is not None else ""
    return " ".join(mark.owner_name(owner) for owner in owners.split("+")) if owners else ""
