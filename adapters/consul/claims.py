"""Who writes: the claims of owners, each a key of its own in the KV store.

`registry-bridge/claims/OWNER/NODE`, where the node is the one that is written; the value is JSON. Beside them is the
owner's bell, `registry-bridge/claims/OWNER/`: whoever writes for it hears there that something was let go, which no
question about services need tell.
"""

import base64
import binascii
import json
import secrets
from collections.abc import Collection, Iterable, Iterator
from typing import Any, Final, NamedTuple

from bridge.adapter import Claim
from bridge.kit.mark import FORMAT, Mark, owner_name

ROOT: Final = "registry-bridge/claims/"


class Standing(NamedTuple):
    """A claim that stands there, and the node that it is of."""

    node: str
    claim: Claim


def key(owner: str, node: str) -> str:
    """Where an owner's claim of a node stands."""
    return f"{ROOT}{owner}/{node}"


def ring(owner: str) -> dict[str, Any]:
    """The operation that has an owner's bridge look again at what is read."""
    write = {"Verb": "set", "Key": key(owner, ""), "Value": encoded(secrets.token_hex(8).encode())}
    return {"KV": write}


def bell(entries: Any, owner: str) -> Any:
    """Another one, among keys, whenever it was rung."""
    them = entries if isinstance(entries, list) else ()
    return next((one.get("Value") for one in them if isinstance(one, dict) and one.get("Key") == key(owner, "")), None)


def written(claim: Claim) -> str:
    """The value that says so, as a transaction takes it."""
    said: dict[str, Any] = {
        "format": FORMAT,
        "deployment": claim.deployment,
        "term": claim.term,
        "beat": claim.beat,
    }
    if claim.tombstone:
        said["tombstone"] = True
    return encoded(json.dumps(said, separators=(",", ":")).encode())


def encoded(content: bytes) -> str:
    """As the API takes values."""
    return base64.b64encode(content).decode()


def decoded(value: Any) -> bytes:
    """As the API gives them; nothing where it is no text."""
    try:
        return base64.b64decode(value) if isinstance(value, str) else b""
    except (ValueError, binascii.Error):
        return b""


def standing(entries: Any) -> Iterator[Standing]:
    """The claims among keys; what an edit by hand left unreadable counts as far as it can be read."""
    for entry in entries if isinstance(entries, list) else ():
        if not isinstance(entry, dict):
            continue
        owner, slash, node = str(entry.get("Key")).removeprefix(ROOT).partition("/")
        try:
            owner_name(owner)
        except ValueError:
            continue  # nobody's: no owner is called so
        if slash and node:
            yield Standing(node, _claim(owner, entry))


def of_node(them: Iterable[Standing], mark: Mark, node: str) -> tuple[Claim, ...]:
    """The claims that count for a node of ours: our own of it, and all of others, whose nodes are theirs.

    Sorted by owner and deployment; an owner of before has its own node.
    """
    found = [one.claim for one in them if one.claim.owner != mark.owner or one.node == node]
    return tuple(sorted(found, key=lambda one: (one.owner, one.deployment, one.term)))


def of_others(them: Iterable[Standing], ours: Collection[str]) -> tuple[tuple[str, Claim], ...]:
    """The claims of owners that are none of ours, each with the node that it is of; sorted."""
    found = [(f"node {one.node}", one.claim) for one in them if one.claim.owner not in ours]
    return tuple(sorted(found, key=lambda one: (one[0], one[1].owner)))


def _claim(owner: str, entry: dict[str, Any]) -> Claim:
    try:
        said = json.loads(decoded(entry.get("Value")))
    except (ValueError, RecursionError):
        said = {}
    said = said if isinstance(said, dict) else {}
    term, beat, deployment = said.get("term"), said.get("beat"), said.get("deployment")
    index = entry.get("ModifyIndex")
    return Claim(
        owner,
        deployment if isinstance(deployment, str) else "",
        term if type(term) is int and term >= 0 else 0,
        float(beat) if isinstance(beat, int | float) and 0 <= beat < 1e12 else 0.0,
        said.get("tombstone") is True,
        index if isinstance(index, int) else 0,
    )
