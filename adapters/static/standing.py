"""The last good view of something that is read again and again, and why a later reading was none."""

from datetime import UTC, datetime
from typing import NamedTuple

from adapters.static.inventory import Inventory, Reader, place_of
from bridge.adapter import Problem, Unread
from bridge.errors import ConfigError
from bridge.kit import files


class _Failure(NamedTuple):
    since: float
    error: ConfigError


class Standing:
    """`good` goes from one whole inventory to the next, and never back to none; `kind` is that of its problem.

    Times are in seconds: `now` monotonic, `wall` since the epoch and only for showing.
    """

    kind = "file"

    def __init__(self, where: str, reader: Reader) -> None:
        self.where = where
        self.good: Inventory | None = None
        self._reader = reader
        self._good_at = 0.0
        self._failure: _Failure | None = None

    @property
    def error(self) -> ConfigError | None:
        """Why it cannot be read, or not be understood, at present."""
        return self._failure and self._failure.error

    @property
    def unread(self) -> Unread | None:
        return self._failure and Unread(self.where, self._failure.since, str(self._failure.error))

    @property
    def problem(self) -> Problem | None:
        """The failure as operators read it, with what stands in."""
        if self._failure is None:
            return None
        where, what = place_of(self._failure.error, self.where)
        if self.good is None:
            return Problem(self.kind, where, f"{what} (nothing good was ever read here)")
        since = datetime.fromtimestamp(self._good_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return Problem(self.kind, where, f"{what} (its view of {since} stands)")

    def _judge(self, data: bytes) -> ConfigError | None:
        """Take over what is said whole; or what is wrong with it, and nothing is taken over."""
        try:
            inventory = self._reader.read(files.text(data, self.where))
        except ConfigError as error:
            return error
        if self.good is not None and self.good.counted and not inventory.counted:
            return ConfigError(
                f"{self.where}: the `count:` that stood at its end is missing: is the file half written? "
                "Write it, or restart the bridge to do without"
            )
        self.good = inventory
        return None

    def _succeed(self, wall: float) -> None:
        self._failure = None
        self._good_at = wall

    def _fail(self, error: ConfigError, now: float) -> None:
        before = self._failure
        if before is None or str(before.error) != str(error):
            self._failure = _Failure(now if before is None else before.since, error)
