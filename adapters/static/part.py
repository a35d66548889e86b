"""One file: its last good view, and what to make of what is there now."""

from pathlib import Path
from typing import NamedTuple

from adapters.static.inventory import Reader
from adapters.static.standing import Standing
from bridge.errors import ConfigError
from bridge.kit import files
from bridge.kit.files import Content, Stamp

QUIET = 0.5
"""Seconds between two equal readings of a file that is written in place, before it is believed."""

AGAIN = 0.1
"""Seconds until a file is read again that changed while it was read."""

TRIES = 3

LONG = 5.0
"""Seconds for which a file may go on changing before that is a problem."""


class _Taken(NamedTuple):
    """The content that was last judged, and what was wrong with it."""

    digest: bytes
    file: tuple[int, int]
    error: ConfigError | None


class _Unsettled(NamedTuple):
    """A content written in place: since when it is this one, and since when the file has been changing."""

    digest: bytes
    since: float
    first: float


class Part(Standing):
    """Judges one reading after the other; `good` goes from one whole inventory to the next, and never back to none.

    Times are in seconds: `now` monotonic, `wall` since the epoch and only for showing.
    """

    def __init__(self, path: Path, reader: Reader) -> None:
        super().__init__(str(path), reader)
        self.path = path
        self.stamp: Stamp | None = None
        """The file's state when it was last read; a file that is not there has none."""
        self.looked = float("-inf")
        """When it was last read."""
        self.again: float | None = None
        """When it must be read again, hint or no hint; None when the last reading was final."""
        self._taken: _Taken | None = None
        self._unsettled: _Unsettled | None = None
        self._tries = 0

    @property
    def settled(self) -> bool:
        """Whether the last reading says what there is to say: the content is judged, or cannot be."""
        return self.again is None or self._failure is not None

    def look(self, now: float, wall: float) -> None:
        """Read the file, and judge it."""
        self.stamp, self.looked = files.stamp(self.path), now
        try:
            content = files.read(self.path, self.where)
        except ConfigError as error:
            self._unsettled = self.again = None
            self._fail(error, now)
        else:
            self.take(content, now, wall)

    def take(self, content: Content | None, now: float, wall: float) -> None:
        """Judge a reading; None when the file changed meanwhile."""
        if content is None:
            self._tries += 1
            self.again = now + AGAIN
            if self._tries > TRIES:
                self._fail(ConfigError(f"{self.where}: changes whenever it is read; replace it by a rename"), now)
            return
        self._tries = 0
        taken, file = self._taken, (content.stamp.device, content.stamp.inode)
        if taken is None or taken.digest != content.digest:
            if taken is not None and taken.file == file and not self._quiet(content.digest, now):
                return
            taken = _Taken(content.digest, file, self._judge(content.data))
        self._unsettled = self.again = None
        self._taken = taken._replace(file=file)
        if taken.error is None:
            self._succeed(wall)
        else:
            self._fail(taken.error, now)

    def _quiet(self, digest: bytes, now: float) -> bool:
        """Whether a file that is written in place has been the same for long enough to be believed."""
        before = self._unsettled
        if before is not None and before.digest == digest:
            self.again = before.since + QUIET
            return now >= self.again
        first = now if before is None else before.first
        self._unsettled = _Unsettled(digest, now, first)
        self.again = now + QUIET
        if now - first > LONG:
            self._fail(ConfigError(f"{self.where}: has been written to for {LONG:g} s; replace it by a rename"), now)
        return False
