"""The whole bridge as a process, from its command line."""

import asyncio
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import aiohttp

from bridge.testing.ports import free_port

COMMAND = str(Path(sys.executable).with_name("registry-bridge"))
PATIENCE = 120.0


class Whole:
    """One bridge in a folder of its own, with ports of its own; `async with` waits until it is ready, and kills it.

    `config` is the configuration; its ports are others.
    """

    def __init__(self, folder: Path, config: Mapping[str, Any]) -> None:
        self.folder = folder
        self.admin, self.xds = free_port(), free_port()
        self._config = {
            "snapshot": {"path": "state"},
            **config,
            "admin": {"listen": f"127.0.0.1:{self.admin}"},
            "xds": {**config.get("xds", {}), "listen": f"127.0.0.1:{self.xds}"},
        }
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        self.folder.mkdir(exist_ok=True)
        path = self.folder / "bridge.yaml"
        path.write_text(json.dumps(self._config))
        with (self.folder / "log").open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                COMMAND, "run", "--config", str(path), stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log
            )
        try:
            async with asyncio.timeout(PATIENCE):
                while (await self.get("/readyz"))[0] != 200:
                    if self._process.returncode is not None:
                        raise AssertionError(f"the bridge ended at its start: {self.log()}")
                    await asyncio.sleep(0.05)
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def log(self) -> str:
        """All that it said so far."""
        return (self.folder / "log").read_text(errors="replace")

    async def get(self, path: str) -> tuple[int, Any]:
        """Status and body of the admin port, 0 when nobody listens."""
        try:
            async with aiohttp.ClientSession() as http, http.get(f"http://127.0.0.1:{self.admin}{path}") as answer:
                text = await answer.text()
                return answer.status, json.loads(text) if answer.content_type == "application/json" else text
        except aiohttp.ClientError:
            return 0, ""
