"""Which replica writes, decided by a lease in a key of the KV store; and the decisions of operators beside it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field

from adapters.consul.claims import decoded, encoded
from adapters.consul.client import Api
from adapters.consul.reach import ReachSettings
from bridge.adapter import Problem
from bridge.errors import Conflict, Denied, Rejected, Unavailable
from bridge.kit import Clock, lease_json
from bridge.kit.candidate import Standing, Write
from bridge.kit.election import Kept, deciding
from bridge.kit.leased import LeasedElection, LeaseSettings
from bridge.kit.mark import deployment
from bridge.kit.offline import lacking
from bridge.kit.place import excerpt

MOST: Final = 300_000
"""Bytes of a document that is kept; a transaction takes 512 kB, in which it is a third longer."""

PACE: Final = 2.0
"""Seconds between two looks at it."""


def _key(text: str) -> str:
    parts = text.split("/")
    if any(part in ("", ".", "..") or not part.isprintable() for part in parts):
        raise ValueError(f"{excerpt(text)} is no key; write such as registry-bridge/leader/prod")
    return text


class LeaderSettings(ReachSettings, LeaseSettings):
    """`leader: {kind: consul}`: of all replicas that name the same key, one writes.

    A key that is not there may be new, or the Consul has lost it, or was put back to an older state, while somebody
    leads by it: no answer tells these apart. (One that was deleted shows for a quarter of an hour, in the index of what
    begins so.) So the first leader of all waits as after any other, unless the operator, who knows, makes the key.
    """

    kind: Literal["consul"]
    key: Annotated[str, AfterValidator(_key)] = Field(
        default="registry-bridge/leader/registry-bridge",
        description="of the lease; KEY-decisions keeps what operators decide",
    )

    def open(self, clock: Clock, folder: Path | None) -> LeasedElection:
        return LeasedElection(
            KeyLease(Key(self.api("leader", self.renew / 2), self.key), clock, self.lease),
            clock,
            deployment=self._deployment(),
            timing=self.timing,
            shelf=KeyShelf(Key(self.api("leader", self.renew), f"{self.key}-decisions")),
        )

    def check(self) -> Sequence[Problem]:
        """The files that are named have to lead somewhere."""
        return lacking(self.ready())

    def _deployment(self) -> str:
        """Replicas that reach one datacenter by different agents name it under `datacenter`."""
        return deployment(self.key, self.datacenter or self.url, self.key)


class Key:
    """One key, replaced by compare-and-set."""

    def __init__(self, api: Api, name: str) -> None:
        self.place = f"key {name}"
        self._api = api
        self._name = name

    async def read(self) -> tuple[bytes, int] | None:
        """What stands there, with its index; None where nothing does."""
        found = (await self._api.key(self._name)).read()
        entry = found[0] if isinstance(found, list) and found and isinstance(found[0], dict) else None
        if entry is None:
            return None
        index = entry.get("ModifyIndex")
        return decoded(entry.get("Value")), index if isinstance(index, int) else 0

    async def write(self, content: bytes, index: int) -> int:
        """Put it in the place of what has that index, 0 for nothing; the index that it has then."""
        write = {"Verb": "cas", "Key": self._name, "Value": encoded(content), "Index": index}
        try:
            (made, *_) = await self._api.transact([{"KV": write}], self.place)
        except Rejected as error:
            raise Denied(str(error)) from error
        except ValueError:
            raise Unavailable(
                f"{self.place}: is written, and nobody says how it stands now; it is read again"
            ) from None
        return int(made["KV"]["ModifyIndex"])

    async def close(self) -> None:
        """Release the connections."""
        await self._api.close()


class KeyLease:
    """The lease as JSON; see `bridge.kit.leased.Lease`."""

    def __init__(self, key: Key, clock: Clock, seconds: float) -> None:
        """One that does not say for how long is held for `seconds`."""
        self.place = key.place
        self._key = key
        self._clock = clock
        self._seconds = seconds
        self._index = 0  # as it was seen last

    async def look(self) -> Standing | None:
        found = await self._key.read()
        self._index = found[1] if found is not None else 0
        return lease_json.read(found[0], self._seconds, found[1]) if found is not None else None

    async def write(self, write: Write) -> Standing:
        content = lease_json.written(write, self._clock.wall())
        self._index = await self._key.write(content, self._index)
        return lease_json.read(content, self._seconds, self._index)

    async def close(self) -> None:
        await self._key.close()


class KeyShelf:
    """The operators' decisions in a key beside; see `bridge.kit.election.Shelf`."""

    pace = PACE

    def __init__(self, key: Key) -> None:
        self.place = key.place
        self._key = key

    async def read(self) -> Kept | None:
        found = await self._key.read()
        return Kept(*found) if found is not None else None

    async def write(self, content: bytes, replaces: Kept | None) -> None:
        index = replaces.revision if replaces is not None else 0
        if not isinstance(index, int):
            raise Conflict(f"{self.place}: was never read; read it again")
        with deciding(self.place, content, MOST):
            await self._key.write(content, index)

    async def close(self) -> None:
        await self._key.close()
