"""By when what is under way has to be done: a request that comes later is not to be sent any more."""

from contextvars import ContextVar
from math import inf
from typing import Final

DEADLINE: Final[ContextVar[float]] = ContextVar("deadline", default=inf)
"""Monotonic seconds of the clock that the adapter was given; `inf` where nothing hurries.

The core sets it around each write, to the moment when another replica may lead, and cancels the write then. A process
that was stopped and goes on may do what it was about to do before it hears of that: whoever fences by time alone asks
here right before each request.
"""
