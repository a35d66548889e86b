"""A command that is run for what it says: bounded in time and size, and nothing of it goes on afterwards."""

import asyncio
import os
import signal
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

LAST: Final = 5.0
"""Seconds for which an end is waited for: what left our process group may hold its output open."""


class TooMuchError(Exception):
    """It says more than is taken."""


class Answer(NamedTuple):
    """What it ended with, and what it wrote on its standard output."""

    status: int
    said: bytes


async def run(arguments: Sequence[str], environment: Mapping[str, str], seconds: float, longest: int) -> Answer:
    """Run it without a shell and without input; what it writes on its standard error is not read.

    Raises OSError where it cannot be run, TimeoutError when it has not ended after so many `seconds`, TooMuchError
    when it says more than `longest` bytes.
    """
    process = await asyncio.create_subprocess_exec(
        *arguments, stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL, env=environment, start_new_session=True
    )
    try:
        async with asyncio.timeout(seconds):
            said = await _output(process, longest)
            return Answer(await process.wait(), said)
    finally:
        await _end(process)


async def _output(process: Process, longest: int) -> bytes:
    pieces, size = [], 0
    if process.stdout is not None:
        while piece := await process.stdout.read(65536):
            pieces.append(piece)
            size += len(piece)
            if size > longest:
                raise TooMuchError
    return b"".join(pieces)


async def _end(process: Process) -> None:
    """Nothing of it goes on, whatever it started."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass  # it has ended, and all that it started
    ended = asyncio.ensure_future(_ended(process))
    try:
        await asyncio.wait({ended}, timeout=LAST)
    finally:
        ended.cancel()


async def _ended(process: Process) -> None:
    """Until it is gone; asyncio tells so only after the last of what it said was read."""
    if process.stdout is not None:
        while await process.stdout.read(65536):
            pass
    await process.wait()
