"""What a line of the log looks like: JSON or console, on standard error, one line each, never a flood of them."""

import logging
import sys
import time
from collections.abc import Callable
from typing import Any

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from bridge.admin.text import hide, printable

WINDOW = 10.0
"""Seconds in which at most LINES lines of one kind are written; the rest are counted."""

LINES = 20


def configure(form: str, level: str) -> None:
    """Send the bridge's events and the libraries' warnings to standard error, as `json` or `console`."""
    threshold = logging.getLevelNamesMapping()[level.upper()]
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: list[Processor] = (
        [structlog.processors.format_exc_info, scrub, structlog.processors.JSONRenderer()]
        if form == "json"
        else [structlog.processors.format_exc_info, scrub, console()]
    )
    structlog.configure(
        processors=[Throttle(time.monotonic), *shared, *renderer],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderer],
        )
    )
    logging.basicConfig(handlers=[handler], level=max(threshold, logging.WARNING), force=True)


def console() -> structlog.dev.ConsoleRenderer:
    """Lines for people; colours only on a terminal, tracebacks plain (the rich ones show local variables)."""
    return structlog.dev.ConsoleRenderer(
        colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback, sort_keys=False
    )


def scrub(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Passwords in URLs hidden, control characters written out: a line of the log is one line (S-09, S-12)."""
    for key, value in event.items():
        event[key] = _scrubbed(value, keep_breaks=key in ("exception", "stack"))
    return event


def _scrubbed(value: Any, keep_breaks: bool = False) -> Any:
    if isinstance(value, str):
        return printable(hide(value), keep_breaks)
    if isinstance(value, list | tuple):
        return [_scrubbed(one) for one in value]
    if isinstance(value, dict):
        return {key: _scrubbed(one) for key, one in value.items()}
    return value


class Throttle:
    """A processor that lets a few lines of one kind through and counts the rest.

    The kind is the event and the source; what was left out is told by the next line of that kind.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._kinds: dict[tuple[str, str], _Kind] = {}

    def __call__(self, _: WrappedLogger, __: str, event: EventDict) -> EventDict:
        now, kind = self._now(), (str(event.get("event")), str(event.get("source", "")))
        known = self._kinds.get(kind)
        if known is None:
            if len(self._kinds) > 1_000:
                self._kinds = {key: one for key, one in self._kinds.items() if now - one.since < WINDOW}
            known = self._kinds[kind] = _Kind(now)
        if now - known.since >= WINDOW:
            if known.left_out:
                event["left_out"] = known.left_out
            known.since, known.lines, known.left_out = now, 0, 0
        if known.lines >= LINES:
            known.left_out += 1
            raise structlog.DropEvent
        known.lines += 1
        return event


class _Kind:
    __slots__ = ("left_out", "lines", "since")

    def __init__(self, since: float) -> None:
        self.since = since
        self.lines = self.left_out = 0
