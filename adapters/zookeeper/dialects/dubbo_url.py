"""Dubbo's URLs, which are the names of its znodes: encoded whole, as Java does it.

`dubbo://10.0.0.1:20880/com.ex.Foo?category=providers&…`
"""

import re
from collections.abc import Mapping
from typing import Final, NamedTuple, Self
from urllib.parse import quote_plus, unquote_to_bytes

from adapters.zookeeper.dialects import words
from bridge.kit.place import excerpt

ANY_HOST: Final = "0.0.0.0"  # the word for all providers
MAX_LENGTH: Final = 32 * 1024
_URL: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]{0,62})://(?:[^/?@]*@)?([^/?]*)/?([^?]*)(?:\?(.*))?", re.ASCII)


class Url(NamedTuple):
    """`port` is 0 where there is none; `params` in the order in which they stand."""

    protocol: str
    host: str
    port: int
    path: str
    params: Mapping[str, str]

    @classmethod
    def of(cls, name: str) -> Self:
        """Read the name of a znode; ValueError says why it is no URL."""
        if len(name) > MAX_LENGTH:
            raise ValueError(f"its name has {len(name):,} characters, and at most {MAX_LENGTH:,} are read")
        try:
            text = unquote_to_bytes(name.replace("+", " ")).decode()
        except UnicodeError:
            raise ValueError(f"{excerpt(name)} is not UTF-8 when it is decoded") from None
        found = _URL.fullmatch(text)
        if found is None or not text.isprintable():
            raise ValueError(f"{excerpt(text)} is not a URL such as dubbo://host:port/interface")
        protocol, address, path, query = found.groups()
        host, colon, digits = address.rpartition(":")
        port = words.number_of(digits, "port", 0, 65_535) if colon else 0
        params = dict(part.partition("=")[::2] for part in (query or "").split("&") if part)
        return cls(protocol, host if colon else address, port, path, params)

    def __str__(self) -> str:
        """Not encoded; parameters without a value that is text stand there bare."""
        query = "&".join(f"{key}={value}" for key, value in self.params.items())
        return f"{self.protocol}://{self.host}:{self.port}/{self.path}" + (f"?{query}" if query else "")


def encode(text: str) -> str:
    """As Java's URLEncoder: a plus for a blank, `*` stays, `~` does not, and upper-case digits."""
    return quote_plus(text, safe="*").replace("~", "%7E")


def value(text: str) -> str:
    """A value that parts no URL: Dubbo decodes the whole, and not each value."""
    return encode(text).replace("+", "%20")


def value_of(text: str) -> str:
    """What `value` was made of; ValueError when it is not UTF-8."""
    try:
        return unquote_to_bytes(text).decode()
    except UnicodeError:
        raise ValueError(f"{excerpt(text)} is not UTF-8 when it is decoded") from None
