"""What counts as an address.

Canonical IP literals only; what looks like one in another notation (`010.0.0.1`, `127.1`, `2130706433`) is nothing at
all, not even a host name. Some classes are refused for every registry, in each form in which IPv6 can carry IPv4.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from ipaddress import AddressValueError, IPv4Address, IPv6Address, IPv6Network, ip_network

from bridge.kit.place import excerpt

_V4 = re.compile(r"(?:(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])(?:\.(?!$)|$)){4}", re.ASCII)
_V6 = re.compile(r"[0-9a-fA-F:]*:[0-9a-fA-F:.]*", re.ASCII)
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)", re.ASCII)
_NUMERIC = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII)

_METADATA = frozenset({"fd00:ec2::254", "fd20:ce::254", "100.100.100.200"})
"""Metadata services of clouds outside the link-local ranges."""


def parse(text: str) -> str:
    """The canonical form of an IP literal; an IPv4-mapped IPv6 address becomes the IPv4 address.

    ValueError says why it is none. Which classes are refused is another question: `refused`.
    """
    if _V4.fullmatch(text):
        return text
    if not _V6.fullmatch(text) or len(text) > 45:
        raise ValueError(f"{excerpt(text)} is not an IP address; write four decimal numbers, or IPv6")
    try:
        address = IPv6Address(text)
    except AddressValueError:
        raise ValueError(f"{excerpt(text)} is not an IPv6 address") from None
    mapped = address.ipv4_mapped
    return str(address if mapped is None else mapped)


def host(text: str) -> str:
    """A canonical IP literal, or a host name in lower case without a final dot; ValueError says why it is neither."""
    try:
        return parse(text)
    except ValueError as error:
        if ":" in text:
            raise
        name = text.lower().removesuffix(".")
        labels = name.split(".")
        if _NUMERIC.fullmatch(labels[-1]):
            raise ValueError(f"{error}; shortened, octal and plain numbers are refused") from None
        if len(name) > 253 or not all(map(_LABEL.fullmatch, labels)):
            raise ValueError(f"{excerpt(text)} is neither an IP address nor a host name") from None
        return name


def is_literal(address: str) -> bool:
    """Whether what `host` returned is an IP address, and not a name."""
    return ":" in address or _V4.fullmatch(address) is not None


def host_port(text: str) -> tuple[str, int]:
    """`10.0.0.1:80`, `[2001:db8::1]:80` or `vm7.example:80`, split; ValueError says what is wrong."""
    before, colon, number = text.rpartition(":")
    if not colon or not before:
        raise ValueError(f"{excerpt(text)} is not of the form address:port")
    if before.startswith("[") and before.endswith("]"):
        before = before[1:-1]
        if ":" not in before:
            raise ValueError(f"{excerpt(text)}: brackets are for IPv6")
    elif ":" in before:
        raise ValueError(f"{excerpt(text)}: an IPv6 address with a port stands in brackets")
    if not re.fullmatch(r"[1-9][0-9]{0,4}", number, re.ASCII) or int(number) > 65535:
        raise ValueError(f"{excerpt(text)}: port {excerpt(number)} is not between 1 and 65535")
    return host(before), int(number)


@lru_cache(maxsize=65536)
def refused(address: str, allow_loopback: bool = False) -> str:
    """Why no registry may say this canonical literal, "" when it may."""
    if ":" not in address:
        return _refused_v4(int(IPv4Address(address)), address, allow_loopback)
    if address in _METADATA:
        return "is the metadata address of a cloud"
    v6 = IPv6Address(address)
    if v6.is_loopback:
        return "" if allow_loopback else "is a loopback address; `allow_loopback: true` admits it, for development"
    if v6.is_unspecified:
        return "is the unspecified address"
    if v6.is_multicast:
        return "is a multicast address"
    if v6.is_link_local:
        return "is a link-local address"
    for inner in _carried(v6):
        why = _refused_v4(inner, str(IPv4Address(inner)), allow_loopback=False)
        if why:
            return f"carries {IPv4Address(inner)}, which {why}"
    return ""


def _refused_v4(number: int, text: str, allow_loopback: bool) -> str:
    first = number >> 24
    if first == 127:
        return "" if allow_loopback else "is a loopback address; `allow_loopback: true` admits it, for development"
    if number >> 16 == 0xA9FE:
        return "is a link-local address, where clouds have their metadata"
    if first == 0:
        return "is the unspecified address, or one of its network"
    if 224 <= first < 240:
        return "is a multicast address"
    if first >= 240:
        return "is reserved, or broadcast"
    if text in _METADATA:
        return "is the metadata address of a cloud"
    return ""


_LAST_32 = tuple(
    int(IPv6Network(net).network_address) >> 32
    for net in ("64:ff9b::/96", "::/96", "::ffff:0:0:0/96")  # NAT64, IPv4-compatible, IPv4-translated
)


def _carried(address: IPv6Address) -> list[int]:
    """The IPv4 addresses that an IPv6 address stands for, where a translator or a tunnel serves it."""
    number = int(address)
    last = number & 0xFFFFFFFF
    carried = [last] if number >> 32 in _LAST_32 else []
    if number >> 80 == 0x0064_FF9B_0001:  # NAT64 in a network of one's own: a /96 of it, or the /48 itself (RFC 6052)
        spread = (number >> 64 & 0xFFFF) << 16 | (number >> 40 & 0xFFFF)
        carried += [each for each in (last, spread) if each]
    if number >> 112 == 0x2002:  # 6to4
        carried.append(number >> 80 & 0xFFFFFFFF)
    if number >> 96 == 0x20010000:  # Teredo: the client's address, inverted
        carried.append(last ^ 0xFFFFFFFF)
    if number >> 32 & 0xFDFFFFFF == 0x00005EFE:  # ISATAP
        carried.append(last)
    return carried


class Allow:
    """An allow list of networks."""

    __slots__ = ("_v4", "_v6", "cidrs")

    def __init__(self, cidrs: Iterable[str]) -> None:
        """ValueError names the network that is none, and what it should be."""
        self.cidrs = tuple(cidrs)
        self._v4: list[tuple[int, int]] = []
        self._v6: list[tuple[int, int]] = []
        for cidr in self.cidrs:
            try:
                net = ip_network(cidr, strict=False)
            except ValueError:
                raise ValueError(f"{excerpt(cidr)} is not a network such as 10.20.0.0/16") from None
            if "/" in cidr and cidr.partition("/")[0].lower() != str(net.network_address):
                raise ValueError(f"{excerpt(cidr)} is an address within a network; the network is {net}")
            nets = self._v4 if net.version == 4 else self._v6
            nets.append((int(net.network_address), int(net.netmask)))

    def __contains__(self, address: str) -> bool:
        """Whether a canonical literal is in one of the networks."""
        if ":" in address:
            number, nets = int(IPv6Address(address)), self._v6
        else:
            number, nets = int(IPv4Address(address)), self._v4
        return any(number & mask == net for net, mask in nets)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Allow) and self.cidrs == other.cidrs

    def __hash__(self) -> int:
        return hash(self.cidrs)

    def __repr__(self) -> str:
        return f"Allow({list(self.cidrs)!r})"
