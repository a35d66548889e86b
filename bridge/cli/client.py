"""What a command asks of a running bridge, over its admin port."""

import http.client
import json
from typing import Any
from urllib.parse import urlsplit

from bridge.errors import BridgeError, ConfigError

TIMEOUT = 10.0
"""Seconds for one request: the admin port is near."""


class NotRunningError(BridgeError):
    """Nobody answers at the admin address."""


class RefusedError(BridgeError):
    """The bridge answered, and said no."""


class Client:
    """Asks the admin port at `url`, for example `http://127.0.0.1:8080`; no proxy of the environment is used."""

    def __init__(self, url: str) -> None:
        try:
            parts = urlsplit(url if "//" in url else f"http://{url}")
            host, port = parts.hostname, parts.port or 8080
        except ValueError:
            host = None
        if not host or parts.scheme != "http" or parts.path.strip("/") or parts.query or parts.username:
            raise ConfigError(f"--admin {url!r}: not an address of the form http://127.0.0.1:8080")
        self.host, self.port = host, port
        self.url = f"http://{f'[{host}]' if ':' in host else host}:{port}"

    def get(self, path: str) -> Any:
        """The JSON answer of `GET path`; NotRunningError or RefusedError otherwise."""
        return self._ask("GET", path, None)

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """The JSON answer of `POST path`; NotRunningError or RefusedError otherwise."""
        return self._ask("POST", path, body)

    def _ask(self, method: str, path: str, body: dict[str, Any] | None) -> Any:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=TIMEOUT)
        try:
            headers = {"Accept": "application/json"}
            if body is not None:
                headers["Content-Type"] = "application/json"
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            response = connection.getresponse()
            text = response.read()
        except (OSError, http.client.HTTPException) as error:
            frozen = connection.sock is not None and isinstance(error, TimeoutError)
            raise NotRunningError(f"admin port {self.url}: {_FROZEN if frozen else _away(error)}") from error
        finally:
            connection.close()
        try:
            answer = json.loads(text)
        except ValueError:
            raise RefusedError(
                f"admin port {self.url}: {method} {path} gave status {response.status} and no JSON; "
                "is that the admin port of a bridge?"
            ) from None
        if response.status >= 400:
            what = answer.get("error", text.decode("utf-8", "replace")) if isinstance(answer, dict) else answer
            raise RefusedError(str(what))
        return answer


_FROZEN = f"takes questions and answers none within {TIMEOUT:.0f} s; its process is stopped, or overloaded: see to it"


def _away(error: Exception) -> str:
    if isinstance(error, ConnectionRefusedError):
        why = "nobody listens there"
    elif isinstance(error, TimeoutError):
        why = f"no answer within {TIMEOUT:.0f} s"
    else:
        why = str(error) or type(error).__name__
    return f"{why}; is the bridge running, and is this its `admin: {{listen}}`?"
