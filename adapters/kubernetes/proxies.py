"""Which proxy leads to a server: the one that is named for it, or the environment's, as kubectl goes."""

from collections.abc import Mapping
from contextlib import suppress
from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit
from urllib.request import getproxies_environment, proxy_bypass


def proxy_of(server: str, named: str | None, environment: Mapping[str, str] | None = None) -> str | None:
    """The URL of a proxy, None where there is none; ValueError when it is of a kind that cannot be used.

    `environment` has the proxies by scheme and, under `no`, what is reached without one; by default it is the
    process's. Unlike Python's own, it knows of networks there, such as 10.0.0.0/8.
    """
    parts = urlsplit(server)
    host = parts.hostname or ""
    if named is None:
        proxies = dict(getproxies_environment() if environment is None else environment)
        if proxy_bypass(host, proxies) or _within(host, proxies.get("no", "")):
            return None
        named = proxies.get(parts.scheme) or proxies.get("all")
    if named and urlsplit(named).scheme not in ("http", "https"):
        raise ValueError("the proxy is none of http or https; name another one, or none")
    return named or None


def _within(host: str, without: str) -> bool:
    """Whether a host is an address of a network that is reached without a proxy."""
    with suppress(ValueError):
        address = ip_address(host)
        for one in without.split(","):
            with suppress(ValueError):
                if "/" in one and address in ip_network(one.strip(), strict=False):
                    return True
    return False
