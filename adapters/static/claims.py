"""The claims of a written file, kept in a file beside it, so that a heartbeat does not touch what others read."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, TypeAdapter, ValidationError

from bridge.adapter import Claim
from bridge.errors import ConfigError
from bridge.kit.mark import owner_name
from bridge.kit.settings import Several, Strict

MAX_BYTES = 64 * 1024

Owner = Annotated[str, AfterValidator(owner_name)]


class _Claim(Strict):
    owner: Owner
    deployment: Owner
    term: Annotated[int, Field(ge=0)]
    beat: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    tombstone: bool


class _Claims(Strict):
    format: Literal[1]
    claims: Several[_Claim]


_ADAPTER = TypeAdapter(_Claims)


def beside(path: Path) -> Path:
    """Where the claims of a file are kept; it is also what writers of the file lock."""
    return path.with_name(f".{path.name}.claim")


def parse(data: bytes, where: str) -> tuple[Claim, ...]:
    """The claims by owner and deployment, each with what a writer has to name; ConfigError when they are none."""
    if not data.strip():
        return ()
    try:
        said = _ADAPTER.validate_json(data)
    except ValidationError:
        raise ConfigError(f"{where}: holds no claims of bridges; it is written anew with the next heartbeat") from None
    found = {one.owner: one for one in said.claims}
    return tuple(_claim(found[owner]) for owner in sorted(found))


def write(claims: Iterable[Claim]) -> bytes:
    """The text of the file."""
    rows = [
        {
            "owner": one.owner,
            "deployment": one.deployment,
            "term": one.term,
            "beat": one.beat,
            "tombstone": one.tombstone,
        }
        for one in sorted(claims, key=lambda one: one.owner)
    ]
    return json.dumps({"format": 1, "claims": rows}, indent=1).encode() + b"\n"


def _claim(said: _Claim) -> Claim:
    revision = (said.deployment, said.term, said.beat, said.tombstone)
    return Claim(said.owner, said.deployment, said.term, said.beat, said.tombstone, revision)
