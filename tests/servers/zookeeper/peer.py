"""A member of the fleet that is none of ours: a program of `java/`, on a library of the ecosystem."""

import asyncio
import json
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

from tests.servers.zookeeper.jars import Java, NoJavaError, fetch

SOURCES = Path(__file__).parent / "java"
FINAGLE = SOURCES / "finagle"
SPRING_CLOUD = SOURCES / "spring"
POMS = tuple(folder / "pom.xml" for folder in (SOURCES, FINAGLE, SPRING_CLOUD))
"""Those of Curator and Dubbo; of Finagle and of Spring Cloud, which want other versions of what they have in common."""

PATIENCE = 120.0

ANY = "java.lang.Object"
SPRING = "org.springframework.cloud.zookeeper.discovery.ZookeeperInstance"
DUBBO = "org.apache.dubbo.registry.zookeeper.ZookeeperInstance"
"""Classes of the payloads of Curator's instances."""

Instance = dict[str, Any]


def build(sources: Path, folder: Path, say: Callable[[str], None] = lambda _: None) -> Java:
    """The programs of one folder of `java/`, compiled into another with the jars that they use; raises NoJavaError."""
    java = fetch(sources / "pom.xml", say)
    compiler = shutil.which("javac")
    if compiler is None:
        raise NoJavaError("there is no `javac` on the PATH; install a JDK of 17 or newer")
    command = [compiler, "-Xlint:all", "-Xlint:-path,-classfile", "-Werror", "-proc:none", "-cp", java.classpath]
    command += ["-d", str(folder), *map(str, sorted({SOURCES / "Peer.java", *sources.glob("*.java")}))]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return Java(java.java, f"{folder}:{java.classpath}")


class Peer:
    """It runs; `async with` starts it, and lets it leave politely."""

    def __init__(self, java: Java, folder: Path, library: str, *arguments: str) -> None:
        """`library` is the class that knows one, `arguments` are what it is told at its start."""
        self._command = [java.java, "-Xmx128m", "-XX:TieredStopAtLevel=1", "-cp", java.classpath, library, *arguments]
        self._log = folder / f"{library}.log"
        self._answers: asyncio.Queue[list[Any] | None] = asyncio.Queue()
        self._seen: dict[str, list[Instance]] = {}
        self._changed = asyncio.Event()
        self._process: asyncio.subprocess.Process
        self._hearing: asyncio.Task[None]

    async def __aenter__(self) -> Self:
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=log
            )
        self._hearing = asyncio.create_task(self._hear())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            async with asyncio.timeout(PATIENCE):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        await self._hearing

    async def do(self, what: str, **said: Any) -> list[Any]:
        """Let it do something; the instances that it answers with."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": what, **said}).encode() + b"\n")
        async with asyncio.timeout(PATIENCE):
            answer = await self._answers.get()
        assert answer is not None, f"it ended: {self._log.read_text(errors='replace')[-3000:]}"
        return answer

    async def until_seen(self, service: str, *where: str) -> list[Instance]:
        """Wait until those are the instances of a service that it watches (`10.0.0.1:80`), sorted."""
        return await self.until(service, lambda seen: addresses(seen) == sorted(where))

    async def until(self, service: str, true: Callable[[list[Instance]], bool]) -> list[Instance]:
        """Wait until that is so of the instances of a service that it watches, sorted by where they are."""
        try:
            async with asyncio.timeout(PATIENCE):
                while not true(self._seen.get(service, [])):
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(f"not within {PATIENCE:g} s; it sees {self._seen.get(service)}") from None
        return self._seen.get(service, [])

    def kill(self) -> None:
        """End it as a power cut does."""
        self._process.kill()

    async def _hear(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            said = json.loads(line)
            if "did" in said:
                self._answers.put_nowait(said["instances"])
            else:
                self._seen[said["seen"]] = sorted(said["instances"], key=_where)
                self._changed.set()
        self._answers.put_nowait(None)


class Fleet(NamedTuple):
    """Where they find the ZooKeeper, and the programs that they are."""

    java: Java
    folder: Path
    hosts: str

    def curator(self, root: str, payload: str = ANY) -> Peer:
        """One with Curator's service discovery, which knows payloads of one class."""
        return Peer(self.java, self.folder, "Curator", self.hosts, root, payload)

    def dubbo(self, root: str) -> Peer:
        """One with Dubbo's registry, by interface."""
        return Peer(self.java, self.folder, "Dubbo", self.hosts, root.strip("/"))

    def calls(self) -> Peer:
        """One with a provider of Dubbo's and a consumer."""
        return Peer(self.java, self.folder, "DubboCalls", self.hosts)

    def finagle(self) -> Peer:
        """One with Finagle's ServerSets."""
        return Peer(self.java, self.folder, "Finagle", self.hosts)

    def spring(self, root: str, address: str, port: int) -> Peer:
        """The application `web` of Spring Cloud, which is there."""
        return Peer(self.java, self.folder, "Spring", self.hosts, root, address, str(port))


def addresses(instances: Sequence[Instance]) -> list[str]:
    """Where they are, sorted."""
    return sorted(map(_where, instances))


def _where(instance: Instance) -> str:
    return f"{instance['address']}:{instance['port']}"
