"""What survives the process: the last believed view of each source, one file each, in a folder of one bridge.

A folder that somebody deletes, or empties, comes back a little later.
"""

import asyncio
import contextlib
import fcntl
import hashlib
import os
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import structlog

from bridge.adapter import Problem
from bridge.errors import ConfigError
from bridge.kit import Clock
from bridge.kit.files import replace
from bridge.model import Services, SourceName
from bridge.runtime import snapshot_format as form
from bridge.screen import ScreenPolicy, screen

PAUSE = 5.0
"""Seconds between two rounds of writing, at least."""

SHARE = 20.0
"""A round that took a second is followed by so many seconds of rest."""

AGAIN = 300.0
"""Seconds after which an unchanged view is written again, so that its age on disk says that it is still the truth."""

_BREATHE = 20  # services that are encoded before the event loop may have the interpreter
_LOCK = "lock"
_NO_FILES: Mapping[str, bytes] = {}

_log = structlog.get_logger("bridge.snapshot")


@dataclass(frozen=True, slots=True)
class View:
    """What is believed of a source, and when (seconds since the epoch) it was last the truth."""

    source: SourceName
    services: Services
    wall: float


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a file said: services after today's screen, and how many seconds old they are."""

    services: Services
    age: float


class Snapshots:
    """The folder; without one nothing survives, which is not an error."""

    def __init__(self, folder: Path | None, clock: Clock, beside: Mapping[str, bytes] = _NO_FILES) -> None:
        """`beside` is what else has to stand in the folder beside a view, by file; what is there already is kept."""
        self._folder = folder
        self._clock = clock
        self._beside = beside
        self._lock: int | None = None
        self._pause = PAUSE
        self._written: dict[SourceName, tuple[Services, float]] = {}  # and when, monotonic
        self._problems: dict[str, Problem] = {}
        self._writing = threading.Lock()
        self._ending = False  # from now on only `write_now` writes
        self.writes = 0
        self.failures = 0
        self.seconds = 0.0  # spent on writing, in a thread

    def open(self) -> None:
        """Make the folder and lock it; ConfigError when another bridge has it.

        A folder that cannot be made or locked for another reason is a problem, and the bridge runs on without.
        """
        if self._folder is None or self._lock is not None:
            return
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = _lock(self._folder)
            for left in self._folder.glob("*.new"):
                left.unlink()
        except OSError as error:
            self._fails("folder", self._folder, f"cannot be used: {_why(error)}; nothing will survive a restart")

    def close(self) -> None:
        """Give the folder to the next bridge; nothing is written after that."""
        self._ending = True
        self._unlock()

    def problems(self) -> tuple[Problem, ...]:
        """What is wrong with the folder at present, sorted by where."""
        return tuple(sorted(self._problems.values(), key=lambda one: (one.where, one.what)))

    def read(self, source: SourceName, policy: ScreenPolicy) -> Snapshot | None:
        """What was believed of `source`, as far as today's policy allows it; None when nothing is known.

        A file that does not stand its checksum is set aside under the name `….corrupt`, with a problem.
        """
        if self._folder is None:
            return None
        path = self._path(source)
        try:
            header, services = form.decode(path.read_bytes())
        except FileNotFoundError:
            return None
        except OSError as error:
            self._fails(f"read {source}", path, f"cannot be read: {_why(error)}; started without it")
            return None
        except form.CorruptError as error:
            aside = path.with_suffix(".corrupt")
            with contextlib.suppress(OSError):
                path.replace(aside)
            self._fails(f"read {source}", path, f"{error}; set aside as {aside.name}, started without it")
            return None
        if header.source != source:
            self._fails(f"read {source}", path, f"is of {header.source}; started without it")
            return None
        # A clock that was set back while the bridge was down must not make a good view old or from the future.
        return Snapshot(screen(services, policy, None).services, max(0.0, self._clock.wall() - header.wall))

    def pause(self) -> float:
        """Seconds until the next round of writing is due."""
        return self._pause

    async def write(self, views: Sequence[View]) -> None:
        """Write what is not on disk yet, in a thread; a failure is a problem until it works again."""
        began = time.perf_counter()
        for view in self._due(views):
            await asyncio.to_thread(self._write, view, True)
        took = time.perf_counter() - began
        self._pause = max(PAUSE, SHARE * took)

    def write_now(self, views: Sequence[View]) -> None:
        """Write all of it here and now: the process is about to end. A thread that writes is waited for."""
        self._ending = True
        for view in self._due(views, at_end=True):
            self._write(view, breathe=False)

    def _due(self, views: Sequence[View], at_end: bool = False) -> Iterator[View]:
        if self._folder is None:
            return
        for view in views:
            services, when = self._written.get(view.source, (None, 0.0))
            old = services is not view.services or self._clock.now() - when >= AGAIN
            if old or at_end or not self._path(view.source).exists():
                yield view

    def _write(self, view: View, breathe: bool) -> None:
        with self._writing:
            if not (self._ending and breathe):
                self._write_alone(view, breathe)

    def _write_alone(self, view: View, breathe: bool) -> None:
        path, began = self._path(view.source), time.perf_counter()
        try:
            if self._lock is None or not _locks(path.parent, self._lock):
                self._unlock()  # the folder is gone, and its lock with it: it is made and locked anew
                self.open()
            for name, content in self._beside.items():
                if not (path.parent / name).exists():
                    replace(path.parent / name, [content])
            replace(path, _slowly(form.encode(view.source, view.wall, view.services), breathe))
        except OSError as error:
            self.failures += 1
            self._fails(
                f"write {view.source}", path, f"cannot be written: {_why(error)}; tried again every few seconds"
            )
        except ConfigError as error:
            self.failures += 1
            self._fails(f"write {view.source}", path, str(error))
        else:
            self.writes += 1
            self._written[view.source] = view.services, self._clock.now()
            for key in (f"write {view.source}", f"read {view.source}", "folder"):
                self._problems.pop(key, None)
        self.seconds += time.perf_counter() - began

    def _unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _path(self, source: SourceName) -> Path:
        assert self._folder is not None
        return self._folder / f"{file_safe(source)}.snapshot"

    def _fails(self, key: str, path: Path, what: str) -> None:
        problem = Problem("snapshot", f"snapshot.path: {path}", what)
        if self._problems.get(key) != problem:
            _log.warning("snapshot failed", path=str(path), why=what)
        self._problems[key] = problem


def file_safe(name: str) -> str:
    """`name` as one part of a path that means nothing else: reversible, and never `.`, `..` or a path."""
    safe = quote(name, safe="").replace("~", "%7E")
    safe = safe.replace(".", "%2E") if safe.startswith(".") else safe
    return safe if len(safe) <= 200 else f"{safe[:150]}-{hashlib.blake2b(name.encode(), digest_size=16).hexdigest()}"


def _slowly(pieces: Iterable[bytes], breathe: bool) -> Iterator[bytes]:
    """`pieces`, with a breath now and then in which other threads have the interpreter."""
    for number, piece in enumerate(pieces):
        yield piece
        if breathe and number % _BREATHE == 0:
            time.sleep(0.000_5)


def _lock(folder: Path) -> int:
    file = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        pid = os.pread(file, 32, 0).decode("ascii", "replace").strip() or "unknown"
        os.close(file)
        raise ConfigError(
            f"snapshot.path: {folder} is used by another bridge (pid {pid}); "
            "stop it, or give this one a folder of its own"
        ) from None
    except OSError:
        os.close(file)
        raise
    with contextlib.suppress(OSError):  # a full disk: the lock holds without the number in it
        os.ftruncate(file, 0)
        os.pwrite(file, f"{os.getpid()}\n".encode(), 0)
    return file


def _locks(folder: Path, file: int) -> bool:
    """Whether the lock of that open file is the one of the folder as it is now."""
    try:
        return os.path.samestat((folder / _LOCK).stat(), os.fstat(file))
    except OSError:
        return False


def _why(error: OSError) -> str:
    return error.strerror or str(error)
