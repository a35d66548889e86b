"""A real etcd and kube-apiserver on loopback: started, stopped, killed, paused, put back to an older state."""

import asyncio
import shutil
import signal
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from bridge.testing.ports import free_port
from tests.envoy.certificates import Authority
from tests.servers.kubernetes.binaries import Binaries
from tests.servers.kubernetes.client import ApiError, Client
from tests.servers.process import Process, ServerError, answered

ADMIN = "admin"
"""The user who may do everything."""

_SMALL = {"GOGC": "50"}

USERS = ("bridge", "bridge-2", "bridge-3", "reader", "nobody")
"""Users without any right of their own, until `Client.allow` gives them some."""


class ApiServer:
    """One API server with its etcd; use as `async with`, or start and stop it, from any event loop.

    RBAC is on; users are known by token (`token`), or are service accounts (`Client.account`). There is no controller:
    nothing makes slices, no garbage is collected; `doubles` plays those parts. `folder` receives data and logs.
    `flags` are further flags of kube-apiserver.
    """

    def __init__(
        self, binaries: Binaries, folder: Path, *, users: Sequence[str] = USERS, flags: Sequence[str] = ()
    ) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"https://127.0.0.1:{self.port}"
        self.ca = folder / "ca.pem"
        self._users = (ADMIN, *users)
        store = free_port()
        etcd = _etcd(binaries.etcd, folder, store)
        self._etcd = Process("etcd", folder / "etcd.log", etcd, _SMALL)
        apiserver = _apiserver(binaries.apiserver, folder, self.port, store)
        self._api = Process("kube-apiserver", folder / "kube-apiserver.log", [*apiserver, *flags], _SMALL)
        self._prepared = False

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def start(self) -> None:
        """Start both, with the data of before where there is some, and wait until a namespace can be made."""
        if not self._prepared:
            self._prepare()
        self._etcd.start()
        self._api.start()
        async with self.client() as client:
            await answered(lambda: _answers(client), self._etcd, self._api, stop=self.stop)

    async def stop(self) -> None:
        """End both, politely first; their data stays."""
        await self._api.end(signal.SIGTERM)
        await self._etcd.end(signal.SIGTERM)

    async def close(self) -> None:
        """End both for good: their logs stay, and what etcd has stored goes, which is 120 MB at least."""
        await self.stop()
        for data in self.folder.glob("*/member"):
            await asyncio.to_thread(shutil.rmtree, data)

    async def kill(self) -> None:
        """End both with SIGKILL; their data stays, and `start` goes on with it."""
        await self._api.end(signal.SIGKILL)
        await self._etcd.end(signal.SIGKILL)

    def pause(self) -> None:
        """Freeze kube-apiserver: connections stay open and nobody answers."""
        self._api.send(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self._api.send(signal.SIGCONT)

    async def save(self, name: str = "saved") -> Path:
        """A copy of what etcd has stored at this moment, for `restore`."""
        copy = self.folder / name
        self._etcd.send(signal.SIGSTOP)  # its files are then as after a crash, from which it recovers
        try:
            await asyncio.to_thread(shutil.copytree, self.folder / "etcd", copy)
        finally:
            self._etcd.send(signal.SIGCONT)
        return copy

    async def restore(self, saved: Path) -> None:
        """Put what was saved in place of what is there, as an operator restores etcd: revisions go back too."""
        await self.kill()
        await asyncio.to_thread(shutil.rmtree, self.folder / "etcd")
        await asyncio.to_thread(shutil.copytree, saved, self.folder / "etcd")
        await self.start()

    async def wipe(self) -> None:
        """Start again with an etcd that never stored anything."""
        await self.kill()
        await asyncio.to_thread(shutil.rmtree, self.folder / "etcd")
        await self.start()

    def token(self, user: str = ADMIN) -> str:
        """The token by which a user is known."""
        if user not in self._users:
            raise ServerError(f"kube-apiserver: no user {user!r}; known: {', '.join(self._users)}")
        return f"token-of-{user}"

    def trust(self) -> ssl.SSLContext:
        """What verifies the server's certificate."""
        context = ssl.create_default_context(cafile=self.ca)
        context.verify_flags |= ssl.VERIFY_X509_STRICT  # as Python does by itself from 3.13 on
        return context

    def client(self, user: str = ADMIN, *, token: str | None = None) -> Client:
        """A client for tests, as a user or by a token of one's own; close it, or use `async with`."""
        return Client(self.url, self.trust(), self.token(user) if token is None else token)

    def kubeconfig(
        self, folder: Path, user: str = ADMIN, *, server: str | None = None, context: str = "tests",
        namespace: str = "", token: str | None = None, name: str = "kubeconfig",
    ) -> Path:  # fmt: skip
        """A kubeconfig with one context, by which a user reaches the server, or what stands before it at `server`.

        The certificate is good for 127.0.0.1 and localhost on every port, so that a proxy can stand between.
        """
        place: dict[str, Any] = {"cluster": "tests", "user": user, **({"namespace": namespace} if namespace else {})}
        cluster = {"server": server or self.url, "certificate-authority": str(self.ca)}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "tests", "cluster": cluster}],
            "users": [{"name": user, "user": {"token": self.token(user) if token is None else token}}],
            "contexts": [{"name": context, "context": place}],
            "current-context": context,
        }
        path = folder / name
        path.write_text(yaml.safe_dump(config, sort_keys=False))
        path.chmod(0o600)
        return path

    def _prepare(self) -> None:
        authority = Authority("kubernetes")
        self.ca.write_bytes(authority.pem)
        authority.pair("kube-apiserver").write(self.folder / "server.pem", self.folder / "server.key")
        key = rsa.generate_private_key(65537, 2048)
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        (self.folder / "accounts.key").write_bytes(private)
        lines = [f"token-of-{user},{user},{user}" for user in self._users]
        lines[0] += ",system:masters"
        (self.folder / "tokens.csv").write_text("\n".join(lines) + "\n")
        self._prepared = True


async def _answers(client: Client) -> bool:
    """Whether it is ready, with what it makes itself in the first namespace: /readyz says so earlier."""
    try:
        await client.request("GET", "/readyz")
        await client.get("Service", "kubernetes", "default")
    except (OSError, TimeoutError, ApiError):
        return False
    return True


def _etcd(binary: Path, folder: Path, port: int) -> list[str]:
    mine, peers = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{free_port()}"
    return [
        str(binary), "--data-dir", str(folder / "etcd"), "--unsafe-no-fsync", "--log-level=error",
        "--listen-client-urls", mine, "--advertise-client-urls", mine,
        "--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers, "--initial-cluster", f"default={peers}",
    ]  # fmt: skip


def _apiserver(binary: Path, folder: Path, port: int, etcd: int) -> list[str]:
    key = folder / "accounts.key"
    return [
        str(binary), f"--etcd-servers=http://127.0.0.1:{etcd}", "--bind-address=127.0.0.1", f"--secure-port={port}",
        "--advertise-address=127.0.0.1", "--endpoint-reconciler-type=none",
        "--service-cluster-ip-range=10.96.0.0/16,fd00:96::/108",
        f"--tls-cert-file={folder / 'server.pem'}", f"--tls-private-key-file={folder / 'server.key'}",
        f"--token-auth-file={folder / 'tokens.csv'}", "--authorization-mode=RBAC", "--anonymous-auth=false",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={key}", f"--service-account-signing-key-file={key}",
        "--disable-admission-plugins=ServiceAccount",  # it waits for a controller that is not here
        "--profiling=false", "--v=0",
    ]  # fmt: skip
