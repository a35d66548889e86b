"""What a credential plugin of a kubeconfig says when it is run: a token, or a certificate and its key."""

import json
import os
from datetime import datetime
from typing import Any, Final, NamedTuple

from adapters.kubernetes.kubeconfig import Plugin
from bridge.errors import Denied
from bridge.kit import command

TIMEOUT: Final = 30.0
"""Seconds until it must have answered."""

LONGEST: Final = 1024 * 1024
"""Bytes that it may say."""


class Credential(NamedTuple):
    """What a plugin gave; `expires` is in seconds since the epoch, None where it does not say."""

    token: str
    certificate: str
    key: str
    expires: float | None

    def __repr__(self) -> str:
        return "***"


async def run(plugin: Plugin) -> Credential:
    """Run it; Denied says what went wrong, and not what it wrote, which may hold a secret."""
    info = {"apiVersion": plugin.version, "kind": "ExecCredential", "spec": {"interactive": False}}
    environment = {**os.environ, **dict(plugin.environment), "KUBERNETES_EXEC_INFO": json.dumps(info)}
    try:
        status, said = await command.run((plugin.command, *plugin.arguments), environment, TIMEOUT, LONGEST)
    except TimeoutError:  # an OSError too
        raise _denied(plugin, f"has not ended after {TIMEOUT:g} s") from None
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "an argument cannot be passed on"
        raise _denied(plugin, f"{plugin.command} cannot be run: {why}") from None
    except command.TooMuchError:
        raise _denied(plugin, f"says more than {LONGEST:,} bytes") from None
    if status:
        raise _denied(plugin, f"{plugin.command} ends with status {status}")
    try:
        whole = json.loads(said)
    except ValueError:
        raise _denied(plugin, f"{plugin.command} says something else than JSON") from None
    return _credential(whole, plugin)


def _credential(whole: Any, plugin: Plugin) -> Credential:
    status = whole.get("status") if isinstance(whole, dict) else None
    if not isinstance(status, dict) or whole.get("apiVersion") != plugin.version:
        raise _denied(plugin, f"says no ExecCredential of {plugin.version}")
    token, certificate, key = (_text(status.get(name)) for name in ("token", "clientCertificateData", "clientKeyData"))
    if not token and not (certificate and key):
        raise _denied(plugin, "says neither a token nor a certificate with its key")
    return Credential(token, certificate, key, _moment(_text(status.get("expirationTimestamp"))))


def _denied(plugin: Plugin, what: str) -> Denied:
    return Denied(f"{plugin.place}: {what}; run it by hand as the bridge's user" + (plugin.hint and f"; {plugin.hint}"))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _moment(said: str) -> float | None:
    try:
        return datetime.fromisoformat(said).timestamp() if said else None
    except (ValueError, OverflowError):
        return None
