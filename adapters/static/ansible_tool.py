"""Ansible's own reader of inventories, run where the configuration says so: it may execute what an inventory holds."""

import asyncio
import os
import signal
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Sequence
from pathlib import Path

from bridge.errors import ConfigError
from bridge.kit.files import MAX_BYTES

TIMEOUT = 30.0
"""Seconds until it must have ended."""

EACH = 60.0
"""Seconds between two runs of an inventory whose file does not change: what it draws on may."""

LAST = 5.0
"""Seconds for which an end is waited for: what left our process group may hold its output open."""

_PASSED = ("HOME", "LANG", "LC_ALL", "PATH", "TMPDIR", "USER", "VIRTUAL_ENV")
"""What it may know of our environment, besides all that begins with ANSIBLE_: no secret of the bridge."""


async def listed(command: Sequence[str], path: Path, where: str) -> bytes:
    """What the tool says of one inventory, as JSON; ConfigError says why it says nothing, `where` being its place.

    What it writes on its standard error is not repeated: it may hold what an inventory keeps secret.
    """
    arguments = (*command, "--inventory", str(path), "--list")
    try:
        process = await asyncio.create_subprocess_exec(
            *arguments, stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL, env=_environment(), start_new_session=True
        )
    except OSError as error:
        raise ConfigError(f"{where}: {command[0]} cannot be run: {error.strerror}; see `ansible.command`") from None
    try:
        async with asyncio.timeout(TIMEOUT):
            said = await _output(process, where)
            status = await process.wait()
    except TimeoutError:
        raise ConfigError(f"{where}: {command[0]} has not ended after {TIMEOUT:g} s; run it by hand") from None
    finally:
        await _end(process)
    if status:
        run = " ".join(("ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED=1", *arguments))
        raise ConfigError(f"{where}: {command[0]} ends with {status}; see what it says: {run}")
    if not said.lstrip().startswith(b"{"):
        raise ConfigError(f"{where}: {command[0]} says nothing, or something else than JSON; is it ansible-inventory?")
    return said


async def _output(process: Process, where: str) -> bytes:
    pieces, size = [], 0
    if process.stdout is not None:
        while piece := await process.stdout.read(65536):
            pieces.append(piece)
            size += len(piece)
            if size > MAX_BYTES:
                raise ConfigError(f"{where}: the tool says more than {MAX_BYTES:,} bytes; split the inventory")
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


def _environment() -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if key in _PASSED or key.startswith("ANSIBLE_")}
    return kept | {"ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "1", "ANSIBLE_NOCOLOR": "1"}
