"""How a cluster is reached, and who asks there: a kubeconfig or a pod's own account, read again as both may change."""

import asyncio
import base64
import os
import ssl
from collections.abc import Mapping
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, Final, NamedTuple, Self

import aiohttp
from pydantic import Field, model_validator

from adapters.kubernetes import kubeconfig, plugin
from adapters.kubernetes.kubeconfig import Chosen, Plugin
from adapters.kubernetes.proxies import proxy_of
from bridge.errors import ConfigError, Denied
from bridge.kit import Clock, files
from bridge.kit.settings import ConfigPath, Duration, Strict

POD: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where a pod finds its token, its namespace and the cluster's authority."""

REREAD: Final = 60.0
"""Seconds after which all is read again: the kubelet renews a token when a fifth of its time is left."""

AGAIN: Final = 5.0
"""Seconds before which nothing is read again, however often it is refused."""

EARLY: Final = 60.0
"""Seconds before it expires at which a credential is renewed."""

BUFFER: Final = 1024 * 1024
"""Bytes of an answer that are taken before whoever reads it has come so far."""


class Cluster(NamedTuple):
    """What is known of a cluster before it is asked; `authority` is b"" where the system's authorities are meant.

    `namespace` is the pod's or the context's; `place` is what messages call all this.
    """

    place: str
    server: str
    authority: bytes
    namespace: str


class Login(NamedTuple):
    """What a request needs besides its path. `options` are aiohttp's, of each request."""

    server: str
    session: aiohttp.ClientSession
    headers: Mapping[str, str]
    options: Mapping[str, Any]

    def __repr__(self) -> str:
        return f"Login({self.server!r}, ***)"


class AccessSettings(Strict):
    """How a cluster is reached."""

    kubeconfig: ConfigPath | None = Field(
        default=None, description="left out in a pod, which has an account of its own"
    )
    context: Annotated[str, Field(min_length=1)] | None = Field(
        default=None, description="of the kubeconfig; its current-context by default"
    )
    timeout: Duration = Field(default="10s", validate_default=True, description="of a request that is no watch")

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        if self.context is not None and self.kubeconfig is None:
            raise ValueError("`context` is one of a kubeconfig; write `kubeconfig:` too")
        if self.timeout < 1:
            raise ValueError("`timeout` is less than 1s; an API server that is busy needs more")
        return self

    def cluster(self) -> Cluster:
        """What can be known offline; ConfigError says what is wrong with it, where, and what to do."""
        return look(self.kubeconfig, self.context)

    def access(self, clock: Clock) -> "Access":
        """Reaches it; nothing is read before the first login."""
        return Access(self.kubeconfig, self.context, clock)


def look(path: Path | None, context: str | None) -> Cluster:
    """The same for a kubeconfig and a context in it; without one, the cluster whose pod this is."""
    if path is not None:
        chosen = kubeconfig.read(path, context)
        return Cluster(chosen.place, chosen.server, chosen.authority, chosen.namespace)
    host, port = os.environ.get("KUBERNETES_SERVICE_HOST"), os.environ.get("KUBERNETES_SERVICE_PORT")
    if not host or not port:
        raise ConfigError("no kubeconfig is named, and this is no pod of a cluster; write `kubeconfig: path`")
    namespace = _content(POD / "namespace") if (POD / "namespace").exists() else b"default"
    server = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
    _content(POD / "token")
    return Cluster(str(POD), server, _content(POD / "ca.crt"), namespace.decode().strip())


class Access:
    """Logs in: reads what is configured, runs what it names, and has the connections that fit."""

    def __init__(self, path: Path | None, context: str | None, clock: Clock) -> None:
        self._path = path
        self._context = context
        self._clock = clock
        self._lock = asyncio.Lock()
        self._login: Login | None = None
        self._forced = self._failed = self._renew = float("-inf")
        self._why = ""
        self._tls: tuple[Any, ...] = ()
        self._credential: tuple[Plugin, plugin.Credential, float] | None = None
        self._before: aiohttp.ClientSession | None = None

    async def login(self, refused: Login | None = None) -> Login:
        """Who we are now, and renewed when that was `refused`; what was good stands while it cannot be read anew.

        Denied says why nobody can log in, and what to do.
        """
        async with self._lock:
            now, login = self._clock.now(), self._login
            bad = login is not None and login is refused
            if login is not None and now < (self._forced + AGAIN if bad else self._renew):
                return login
            if login is None and now < self._failed + AGAIN:
                raise Denied(self._why)
            self._forced = now if bad else self._forced
            try:
                self._login = await self._anew(bad)
            except (ConfigError, Denied) as error:
                self._failed, self._why = now, str(error)
                if login is None or bad:
                    raise Denied(self._why) from None
                self._login = login
            self._renew = now + REREAD
            if self._credential is not None:
                self._renew = max(now + AGAIN, min(self._renew, self._credential[2]))
            return self._login

    async def close(self) -> None:
        """Release every connection."""
        async with self._lock:
            sessions = [self._login.session if self._login is not None else None, self._before]
            self._login, self._before, self._tls = None, None, ()
            for session in sessions:
                if session is not None:
                    await session.close()

    async def _anew(self, bad: bool) -> Login:
        await asyncio.to_thread(import_module, "kubernetes.aio.config.kube_config")  # a third of a second, once
        from kubernetes.aio.client import Configuration
        from kubernetes.aio.config import ConfigException

        configuration = Configuration()
        with ExitStack() as stack:
            try:
                if self._path is not None:
                    place = await self._by_kubeconfig(self._path, configuration, bad, stack)
                else:
                    place = await asyncio.to_thread(_by_account, configuration)
            except (ConfigException, OSError, ValueError, LookupError, TypeError, aiohttp.ClientError) as error:
                raise Denied(f"{self._path or POD}: nobody can log in by this: {_why(error)}") from None
            try:
                tls, context = await asyncio.to_thread(_transport, configuration, self._tls)
            except (OSError, ValueError) as error:
                raise Denied(f"{place}: its certificates cannot be used: {_why(error)}; write them anew") from None
        token = " ".join(str(configuration.api_key.get("BearerToken", "")).split())
        headers = {"User-Agent": "registry-bridge", "Accept": "application/json"}
        if token:
            headers["Authorization"] = token
        try:
            proxy = proxy_of(configuration.host, configuration.proxy)
        except ValueError as error:
            raise Denied(f"{place}: {error}") from None
        options = {"server_hostname": configuration.tls_server_name, "proxy": proxy}
        options = {key: value for key, value in options.items() if value}
        if context is not None or self._login is None:
            await self._retire()
            connector = aiohttp.TCPConnector(limit=0, ssl=context or True)
            session = aiohttp.ClientSession(connector=connector, read_bufsize=BUFFER)
            self._tls = tls
        else:
            session = self._login.session
        made = Login(configuration.host, session, headers, options)
        return self._login if self._login is not None and made == self._login else made

    async def _retire(self) -> None:
        """What was under way before the last change has had its time; what is under way now still has it."""
        if self._before is not None:
            await self._before.close()
        self._before = self._login.session if self._login is not None else None

    async def _by_kubeconfig(self, path: Path, configuration: Any, bad: bool, stack: ExitStack) -> str:
        """What messages call it; certificates that are no files of their own are some until `stack` is left."""
        from kubernetes.aio.config.kube_config import ConfigNode, KubeConfigLoader

        chosen = await asyncio.to_thread(kubeconfig.read, path, self._context)
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="registry-bridge-")))
        user = await asyncio.to_thread(_as_files, await self._user(chosen, path.parent, bad), folder)
        cluster = await asyncio.to_thread(_as_files, chosen.cluster, folder)
        whole = {
            "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
            "clusters": [{"name": "it", "cluster": cluster}],
            "users": [{"name": "it", "user": user}],
        }
        loader = KubeConfigLoader(ConfigNode(chosen.place, whole), "it", config_base_path=str(path.parent))
        await loader.load_and_set(configuration)
        return chosen.place

    async def _user(self, chosen: Chosen, folder: Path, bad: bool) -> dict[str, Any]:
        """The user as the client's own loader may have it: it reads no token twice, and hides why a plugin fails."""
        user = {key: value for key, value in chosen.user.items() if key != "exec"}
        if isinstance(user.get("tokenFile"), str):
            user["token"] = _content(folder / user.pop("tokenFile")).decode().strip()
        if chosen.plugin is None:
            self._credential = None
            return user
        now = self._clock.now()
        known = self._credential
        if known is None or known[0] != chosen.plugin or now >= known[2] or bad:
            said = await plugin.run(chosen.plugin)
            lasts = float("inf") if said.expires is None else said.expires - self._clock.wall() - EARLY
            known = self._credential = chosen.plugin, said, now + lasts
        if known[1].token:
            user["token"] = known[1].token
        if known[1].certificate:
            user["client-certificate-data"] = base64.b64encode(known[1].certificate.encode()).decode()
            user["client-key-data"] = base64.b64encode(known[1].key.encode()).decode()
        return user


def _as_files(said: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """What is there in base64 as files: those that the client's loader makes, keys too, stay as long as the process."""
    made = dict(said)
    for name in ("certificate-authority", "client-certificate", "client-key"):
        if data := made.pop(f"{name}-data", None):
            made[name] = str(folder / name)
            (folder / name).write_bytes(base64.b64decode(data))
    return made


def _by_account(configuration: Any) -> str:
    from kubernetes.aio.config.incluster_config import InClusterConfigLoader

    cluster = look(None, None)
    loader = InClusterConfigLoader(str(POD / "token"), str(POD / "ca.crt"), try_refresh_token=False)
    loader.load_and_set(configuration)
    return cluster.place


def _transport(configuration: Any, before: tuple[Any, ...]) -> tuple[tuple[Any, ...], ssl.SSLContext | None]:
    """What connections depend on, and how they are secured; None when that is as it was."""
    from kubernetes.aio.client.rest import RESTClientObject

    named = (configuration.ssl_ca_cert, configuration.cert_file, configuration.key_file)
    contents = tuple(_content(Path(name)) if name else b"" for name in named)
    tls = (configuration.host, configuration.verify_ssl, *contents)
    if tls == before:
        return tls, None
    # Go's clients ask no more of a cluster's own authority than that it signed
    configuration.disable_strict_ssl_verification = True
    context: ssl.SSLContext = RESTClientObject(configuration).ssl_context
    return tls, context


def _content(path: Path) -> bytes:
    content = files.read(path, str(path)) or files.read(path, str(path))
    if content is None:
        raise ConfigError(f"{path}: changes while it is read; it is read again")
    if not content.data.strip():
        raise ConfigError(f"{path}: is empty; write it anew")
    return content.data


def _why(error: Exception) -> str:
    """What may be told of it: some repeat what they could not read."""
    from kubernetes.aio.config import ConfigException

    if isinstance(error, ssl.SSLError):
        return (error.reason or "they are no certificates").lower().replace("_", " ")
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) if isinstance(error, ConfigException) else type(error).__name__
