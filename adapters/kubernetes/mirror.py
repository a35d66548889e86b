"""One collection of an API server as it was last said: whole lists, and the events after them.

Sans-IO. A list counts when all of its pages are there, and replaces what stood there before; until then the old view
stands. Events count from the version that the last list or event had.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, Generic, NamedTuple, TypeAlias, TypeVar

from adapters.kubernetes.client import Expired
from adapters.kubernetes.objects import Key, key_of
from adapters.kubernetes.page import Page

T = TypeVar("T")

MOST: Final = 1_000_000
"""Objects of one collection that are kept."""


class Broken(NamedTuple):
    """An object that cannot be understood, and why."""

    why: str


Entry: TypeAlias = T | Broken
Changes: TypeAlias = dict[Key, tuple[Entry[T] | None, Entry[T] | None]]
"""What stood under a key before, and what does now."""


class Mirror(Generic[T]):
    """What one collection holds, by key.

    `parse` makes of an object what is kept of it; of a namespace that is not `wanted` nothing is.
    """

    def __init__(self, parse: Callable[[Mapping[str, Any]], T], wanted: Callable[[str], bool]) -> None:
        self.version = ""
        """Where a watch goes on; "" before the first list."""
        self._parse = parse
        self._wanted = wanted
        self._entries: dict[Key, Entry[T]] = {}

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def objects(self) -> dict[Key, T]:
        """A copy of what can be understood."""
        return {key: entry for key, entry in self._entries.items() if not isinstance(entry, Broken)}

    def read(self, said: Any) -> tuple[Key, Entry[T] | None]:
        """An object of the API as it is kept: the one that stands there if it is equal, None where it is not wanted."""
        if not isinstance(said, dict):
            raise ValueError("an item is no object")  # noqa: TRY004  # told like the rest
        key = key_of(said)
        if not self._wanted(key.namespace):
            return key, None
        entry: Entry[T]
        try:
            entry = self._parse(said)
        except ValueError as error:
            entry = Broken(str(error))
        stands = self._entries.get(key)
        return key, stands if stands is not None and stands == entry else entry

    def listing(self) -> "Listing[T]":
        """A new list, which is to be read page by page, and then taken."""
        return Listing(self)

    def take(self, listing: "Listing[T]") -> Changes[T]:
        """Let a whole list be what stands there."""
        assert listing.whole, "a list counts when its last page is there"
        old, new = self._entries, listing.entries
        changes: Changes[T] = {key: (old.get(key), entry) for key, entry in new.items() if old.get(key) is not entry}
        changes.update((key, (entry, None)) for key, entry in old.items() if key not in new)
        self._entries, self.version = new, listing.version
        return changes

    def restored(self, listing: "Listing[T]") -> bool:
        """Whether the list is older than what was said before, as after a restore of etcd."""
        return older(listing.version, self.version)

    def event(self, line: bytes) -> Changes[T]:
        """What a line of a watch changes.

        Raises Expired where the watch cannot go on from here: list again.
        """
        try:
            said = json.loads(line)
            kind, about = said["type"], said["object"]
            version = about["metadata"].get("resourceVersion") if kind != "ERROR" else None
        except (ValueError, LookupError, TypeError, AttributeError):
            raise Expired("a line of the watch cannot be understood; all is listed anew") from None
        if kind == "ERROR":
            raise Expired(f"the watch ends: {_reason(about)}; all is listed anew")
        if not isinstance(version, str) or not version or older(version, self.version):
            raise Expired("the watch tells of a past that is behind us already; all is listed anew")
        changes: Changes[T] = {}
        if kind in ("ADDED", "MODIFIED"):
            key, entry = self.read(about)
            stood = self._entries.get(key)
            if entry is not None and stood is not entry:
                changes[key] = stood, entry
                self._entries[key] = entry
        elif kind == "DELETED":
            key = key_of(about)
            if (stood := self._entries.pop(key, None)) is not None:
                changes[key] = stood, None
        self.version = version  # of bookmarks too, and of events that a later server may know
        return changes


class Listing(Generic[T]):
    """A list under way: `entries` are those of the pages so far."""

    def __init__(self, mirror: Mirror[T]) -> None:
        self._mirror = mirror
        self.entries: dict[Key, Entry[T]] = {}
        self.version = ""
        self.following: str | None = None
        """The token of the page that is to come; None before the first page, "" after the last one."""

    @property
    def whole(self) -> bool:
        return self.following == ""

    def page(self, text: str) -> Iterator[None]:
        """Read the next page, a step an object, so that whoever iterates may pause between.

        ValueError when it is no page, or cannot be the next one: the list is refused as a whole.
        """
        page = Page(text)
        for said in page.objects():
            key, entry = self._mirror.read(said)
            if entry is not None:
                self.entries[key] = entry
            if len(self.entries) > MOST:
                raise ValueError(f"there are more than {MOST:,} objects; name fewer namespaces")
            yield
        if page.following and page.following == self.following:
            raise ValueError("the list comes to no end")
        self.version = self.version or page.version
        self.following = page.following


def older(one: str, other: str) -> bool:
    """Whether a version is older than another; nobody can tell unless both are numbers."""
    return one.isdecimal() and other.isdecimal() and int(one) < int(other)


def _reason(status: Any) -> str:
    said = status if isinstance(status, dict) else {}
    return " ".join(f"{said.get('code', '')} {said.get('message') or said.get('reason') or ''}".split())[:200]
