"""What one context of a kubeconfig says of a cluster and of who we are there; its flaws, each with its line."""

import base64
import binascii
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from bridge.errors import ConfigError
from bridge.kit import files
from bridge.kit.document import Document, load
from bridge.kit.place import Path as Place
from bridge.kit.place import excerpt

EXEC_VERSIONS: Final = ("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1")


class Plugin(NamedTuple):
    """A command that is run for credentials; `place` is where the kubeconfig names it."""

    place: str
    version: str
    command: str
    arguments: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]
    hint: str


class Chosen(NamedTuple):
    """One context. `authority` is what its server's certificate is known by, b"" for the system's authorities.

    `cluster` and `user` are the mappings that the kubeconfig has for them.
    """

    place: str
    server: str
    authority: bytes
    namespace: str
    name: str
    cluster: Mapping[str, Any]
    user: Mapping[str, Any]
    plugin: Plugin | None


def read(path: Path, context: str | None) -> Chosen:
    """The context of that name, or the current one; ConfigError says what is wrong, where, and what to do."""
    where = str(path)
    content = files.read(path, where) or files.read(path, where)
    if content is None:
        raise ConfigError(f"{where}: changes while it is read; it is read again")
    return choose(load(files.text(content.data, where), where), path.parent, context)


def choose(document: Document, folder: Path, context: str | None) -> Chosen:
    """The same of a text that was read; files that it names are taken from `folder`."""
    whole = document.value
    if not isinstance(whole, dict):
        raise ConfigError(f"{document.where}: is not a kubeconfig; write one with `kubectl config view --raw --minify`")
    wanted = context or _text(document, ("current-context",))
    if not wanted:
        names = ", ".join(sorted(_names(whole, "contexts"))) or "none"
        raise ConfigError(
            f"{document.where}: has no current-context; name one with `context:` (there are: {names}), "
            "or run `kubectl config use-context`"
        )
    mend = "; correct `context:`" if context else "; correct its current-context, or name one with `context:`"
    place = _named(document, "contexts", wanted, "context", mend)
    of = ("contexts", place, "context")
    cluster_name = _text(document, (*of, "cluster"))
    if not cluster_name:
        raise ConfigError(f"{document.place(of)}: names no cluster; add `cluster:`")
    cluster_at: Place = ("clusters", _named(document, "clusters", cluster_name, "cluster"), "cluster")
    user_name = _text(document, (*of, "user"))
    user_at: Place = ()
    if user_name:
        user_at = ("users", _named(document, "users", user_name, "user"), "user")
    cluster, user = _mapping(document, cluster_at), _mapping(document, user_at) if user_at else {}
    server = _server(document, (*cluster_at, "server"), signed=bool(user))
    for key in ("as", "as-groups", "as-uid", "as-user-extra"):
        if user.get(key):
            raise ConfigError(f"{document.place((*user_at, key))}: is not done here; give the bridge a user of its own")
    return Chosen(
        f"{document.where} (context {excerpt(wanted)})",
        server,
        _content(document, cluster_at, "certificate-authority", folder),
        _text(document, (*of, "namespace")) or "default",
        user_name,
        cluster,
        user,
        _plugin(document, (*user_at, "exec"), folder) if user.get("exec") else None,
    )


def _server(document: Document, at: Place, *, signed: bool) -> str:
    server = _text(document, at)
    try:
        parts = urlsplit(server)
        known = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        known = False
    if not known:
        raise ConfigError(
            f"{document.place(at)}: {excerpt(server)} is not the URL of an API server; write such as https://host:6443"
        )
    host = parts.hostname or ""
    if parts.scheme == "http" and signed and host not in ("localhost", "127.0.0.1", "::1"):
        raise ConfigError(f"{document.place(at)}: {host} would be sent credentials in plain text; write https")
    return server.rstrip("/")


def _plugin(document: Document, at: Place, folder: Path) -> Plugin:
    said = _mapping(document, at)
    version, command = _text(document, (*at, "apiVersion")), _text(document, (*at, "command"))
    if version not in EXEC_VERSIONS:
        raise ConfigError(
            f"{document.place((*at, 'apiVersion'))}: {excerpt(version)} is none of {', '.join(EXEC_VERSIONS)}; "
            "bring the plugin up to date"
        )
    if said.get("interactiveMode") == "Always":
        raise ConfigError(
            f"{document.place((*at, 'interactiveMode'))}: the plugin wants to ask somebody, and nobody is here; "
            "use one that does not, or a token"
        )
    found = str(folder / command) if "/" in command else shutil.which(command)
    hint = " ".join(_text(document, (*at, "installHint")).split())[:300]
    hint = hint if hint.isprintable() else ""
    if not command or not found or not Path(found).exists():
        raise ConfigError(
            f"{document.place((*at, 'command'))}: {excerpt(command)} is not installed here; "
            + (hint or "install it, or use a token")
        )
    environment = []
    for number, one in enumerate(_list(document, (*at, "env"))):
        if not isinstance(one, dict) or not isinstance(one.get("name"), str) or not isinstance(one.get("value"), str):
            raise ConfigError(f"{document.place((*at, 'env', number))}: must have a `name` and a `value`, both text")
        environment.append((one["name"], one["value"]))
    arguments = tuple(_text(document, (*at, "args", number)) for number, _ in enumerate(_list(document, (*at, "args"))))
    return Plugin(document.place((*at, "command")), version, found, arguments, tuple(environment), hint)


def _content(document: Document, at: Place, key: str, folder: Path) -> bytes:
    """What `KEY-data` has in base64, or the file that `KEY` names; b"" where neither is there."""
    data, name = _text(document, (*at, f"{key}-data")), _text(document, (*at, key))
    if data:
        try:
            return base64.b64decode(data, validate=True)
        except binascii.Error:
            raise ConfigError(f"{document.place((*at, f'{key}-data'))}: is not base64; write it anew") from None
    if not name:
        return b""
    content = files.read(folder / name, f"{document.place((*at, key))}: {name}")
    if content is None:
        raise ConfigError(f"{document.place((*at, key))}: {name} changes while it is read; it is read again")
    return content.data


def _named(document: Document, kind: str, name: str, one: str, mend: str = "") -> int:
    """The index of the entry of that name; each kind is a list of entries with `name` and a mapping."""
    for index, entry in enumerate(_list(document, (kind,))):
        if isinstance(entry, dict) and entry.get("name") == name:
            return index
    names = ", ".join(sorted(_names(document.value, kind))) or "none"
    raise ConfigError(f"{document.place((kind,))}: has no {one} {excerpt(name)}; there are: {names}{mend}")


def _names(whole: Mapping[str, Any], kind: str) -> list[str]:
    entries = whole.get(kind)
    return [str(one.get("name")) for one in entries if isinstance(one, dict)] if isinstance(entries, list) else []


def _at(document: Document, at: Place) -> Any:
    value = document.value
    for part in at:
        value = value.get(part) if isinstance(value, dict) else value[part] if isinstance(value, list) else None  # type: ignore[index]
    return value


def _text(document: Document, at: Place) -> str:
    value = _at(document, at)
    if value is not None and not isinstance(value, str):
        raise ConfigError(f"{document.place(at)}: must be text; put it into quotes")
    return value or ""


def _list(document: Document, at: Place) -> list[Any]:
    value = _at(document, at)
    if value is not None and not isinstance(value, list):
        raise ConfigError(f"{document.place(at)}: must be a list")
    return value or []


def _mapping(document: Document, at: Place) -> Mapping[str, Any]:
    value = _at(document, at)
    if value is not None and not isinstance(value, dict):
        raise ConfigError(f"{document.place(at)}: must be a mapping of keys")
    return value or {}
