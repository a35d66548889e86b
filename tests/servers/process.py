"""A server of the tests as a process of its own: started, ended, frozen, waited for."""

import asyncio
import os
import signal
import subprocess
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, TypeVar

START_TIMEOUT: Final = 120.0
"""Seconds until a server answers; the slowest takes three where the machine is idle."""

LEAVE_TIMEOUT: Final = 15.0
"""Seconds that a server has to end by itself."""


class ServerError(Exception):
    """A server of the tests would not start; the message has the end of its log."""


class Process:
    """A command with its log; its state is the operating system's, so that any event loop may ask."""

    def __init__(
        self, name: str, log: Path, command: Sequence[str], environment: Mapping[str, str] | None = None
    ) -> None:
        """`environment` is further to that of the tests."""
        self._name = name
        self._log = log
        self._command = command
        self._environment = {**os.environ, **(environment or {})}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        if self._process is None:
            raise ServerError(f"{self._name}: not started")
        return self._process.pid

    def start(self) -> None:
        """Start it, and wait for nothing."""
        if self._process is not None:
            raise ServerError(f"{self._name}: it runs")
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                env=self._environment,
            )  # fmt: skip

    def send(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    async def end(self, how: signal.Signals) -> None:
        """End it, frozen or not; with SIGKILL where it does not obey. Nothing when it does not run."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(how)
        process.send_signal(signal.SIGCONT)
        try:
            await asyncio.to_thread(process.wait, LEAVE_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            await asyncio.to_thread(process.wait)

    def check(self) -> None:
        """Raise ServerError when it has ended."""
        if self._process is None:
            raise ServerError(f"{self._name}: ended at its start")
        if self._process.poll() is not None:
            raise ServerError(f"{self._name}: ended with {self._process.returncode} at its start: {self.tail()}")

    def tail(self, lines: int = 8) -> str:
        """The last lines of its log."""
        text = self._log.read_text(errors="replace") if self._log.exists() else "(no log)"
        return "\n".join(text.splitlines()[-lines:])


Answer = TypeVar("Answer")


async def answered(
    answer: Callable[[], Awaitable[Answer]], *processes: Process, stop: Callable[[], Awaitable[None]]
) -> Answer:
    """What `answer` says once it is true; ServerError, after `stop`, when one ends instead or takes too long."""
    try:
        async with asyncio.timeout(START_TIMEOUT):
            while not (said := await answer()):
                for process in processes:
                    process.check()
                await asyncio.sleep(0.05)
    except TimeoutError:
        ends = "\n".join(process.tail() for process in processes)
        await stop()
        raise ServerError(f"not ready in {START_TIMEOUT:.0f} s: {ends}") from None
    except BaseException:
        await stop()
        raise
    return said
