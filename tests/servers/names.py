"""A name server's part."""

import socket
from typing import Any

import pytest


class Names:
    """What `socket.getaddrinfo` says of one name: `address`, or that there is no such name."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, name: str, address: str) -> None:
        self.address: str | None = address
        self._name = name
        self._ask = socket.getaddrinfo
        monkeypatch.setattr(socket, "getaddrinfo", self)

    def __call__(self, host: Any, port: Any, *args: Any, **more: Any) -> Any:
        if host == self._name:
            if self.address is None:
                raise socket.gaierror(socket.EAI_NONAME, "there is no such name")
            host = self.address
        return self._ask(host, port, *args, **more)
