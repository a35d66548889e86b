"""What tells, where services are too many to wait for each, of which of them something has changed.

Three questions wait, and two of their answers compared name what became of checks and of nodes: all of it, since a
check that is neither critical nor warns passes. Of instances Consul says only that one has changed; then its own page's
summary is asked for, which shows most changes and not all.
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from adapters.consul.answer import Answer, Cursor, pace
from adapters.consul.client import Api
from bridge.errors import BridgeError


class Touched(NamedTuple):
    """A service, spelled as a name is compared there, or a whole node where that is ""."""

    service: str
    node: str = ""


Told = Mapping[Touched, list[Any]]
"""All that an answer says, by what it says it of."""

Read = Callable[[Any], Told]


class Compared:
    """One answer after the other: what the newest says otherwise than the one before it."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._told: Told | None = None
        self._digest = b""
        self.pace = pace(0)

    def take(self, answer: Answer) -> frozenset[Touched] | None:
        """What has changed; None of the first answer, which may be another in anything."""
        self.pace = pace(answer.size)
        if answer.digest == self._digest:
            return frozenset()
        before, self._told, self._digest = self._told, self._read(answer.read()), answer.digest
        return None if before is None else _differing(before, self._told)


class Hint:
    """A question that waits: `touched` is told what its answers show; it has news when nobody knows what changed.

    `asked`: it was answered once, or could not be.
    """

    def __init__(
        self, ask: Callable[[int], Awaitable[Answer]], read: Read, touched: Callable[[Iterable[Touched]], None]
    ) -> None:
        self.cursor = Cursor()
        self.asked = False
        self._ask = ask
        self._compared = Compared(read)
        self._touched = touched

    @property
    def pace(self) -> float:
        """See `Followed`."""
        return self._compared.pace

    async def poll(self, _: Api) -> tuple[bool, bool]:
        """See `Followed`."""
        answer = await self._ask(self.cursor.index)
        back = self.cursor.follow(answer.index)
        touched = self._compared.take(answer)
        self._touched(touched or ())
        self.asked = True
        return touched is None, back

    def failed(self, error: BridgeError, now: float) -> None:
        """What it would have told is told by the next answer, for that is compared with the last one."""
        self.asked = True


class Looked(NamedTuple):
    """What a look at the summary shows: what was done up to the index `until`, as far as it can be seen there."""

    until: int
    touched: frozenset[Touched] | None


class Summary:
    """The list on Consul's own page: for each service its tags, its nodes, and numbers of instances and checks.

    `asked`: it was answered once, or could not be.
    """

    def __init__(self) -> None:
        self.asked = False
        self._compared = Compared(summary_of)

    async def look(self, api: Api) -> Looked:
        """Ask for it now; it raises what the question does."""
        try:
            answer = await api.summary()
        finally:
            self.asked = True
        return Looked(answer.index, self._compared.take(answer))


def checks_of(said: Any) -> Told:
    """The checks of a list, by service and node."""
    return _told((Touched(_name(one, "ServiceName"), _text(one, "Node")), _text(one, "CheckID")) for one in _maps(said))


def nodes_of(said: Any) -> Told:
    """The nodes of a list with all that is said of them but when that was."""
    return _told((Touched("", _text(one, "Node")), _lasting(one)) for one in _maps(said))


def summary_of(said: Any) -> Told:
    """The services of a summary with all that is said of them."""
    return _told((Touched(_name(one, "Name")), one) for one in _maps(said))


def _told(pairs: Iterable[tuple[Touched, Any]]) -> Told:
    told: dict[Touched, list[Any]] = {}
    for touched, what in pairs:
        told.setdefault(touched, []).append(what)
    return told


def _differing(before: Told, now: Told) -> frozenset[Touched]:
    return frozenset(touched for touched in before.keys() | now.keys() if before.get(touched) != now.get(touched))


_WHEN: Final = ("CreateIndex", "ModifyIndex")


def _lasting(one: Mapping[str, Any]) -> Mapping[str, Any]:
    return {key: value for key, value in one.items() if key not in _WHEN}


def _name(one: Mapping[str, Any], key: str) -> str:
    """Names that differ in upper and lower case only are one, as they are for Consul."""
    return _text(one, key).lower()


def _text(one: Mapping[str, Any], key: str) -> str:
    return str(one.get(key) or "")


def _maps(said: Any) -> Iterator[Mapping[str, Any]]:
    """What cannot be understood hints at nothing."""
    return (one for one in said if isinstance(one, dict)) if isinstance(said, list) else iter(())
