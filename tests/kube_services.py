"""Random services of the catalog, odd in every way in which registries are."""

import random
import string

from bridge.model import Endpoint, Health, Locality, Port, Service, ServiceName

PORT_NAMES = (
    "http",
    "grpc",
    "admin",
    "",
    "default",
    "Http_2",
    "x.y",
    "a--b",
    "metrics-",
    "p" * 63,
    "P" * 63,
    "9p",
    "ü",
)
PROTOCOLS = ("TCP", "TCP", "TCP", "UDP", "SCTP", "QUIC", "tcp")
APPS = ("", "", "http", "kubernetes.io/h2c", "a b", "x/y/z", "H2", "-", "é")
ZONES = ("", "dc1", "eu-1a", "rack 7", "-x", "z" * 64, "a\nb", "ö")
WORDS = ("", "eu", "a b", "ü", "x" * 300, "\x00", "'\"\\", "</script>")
ADDRESSES = (
    *(f"10.20.0.{number}" for number in range(1, 40)), *(f"2001:db8::{number:x}" for number in range(1, 20)),
    "127.0.0.1", "169.254.1.1", "224.0.0.1", "0.0.0.0", "240.0.0.1", "::1", "fe80::1", "ff02::1", "64:ff9b::a9fe:a9fe",
    "vm.example", "010.0.0.1", "100.100.100.200", "::ffff:10.0.0.1", "10.0.0.256", "",
)  # fmt: skip
WAYS = ("", "", "", "east", "east west", "not ok!", "x" * 64, " east", "a b " * 100)


def endpoint(rng: random.Random) -> Endpoint:
    """One endpoint, more or less odd."""
    plain = rng.random() < 0.5
    names = rng.sample(PORT_NAMES[:3] if plain else PORT_NAMES, rng.choice((1, 1, 2, 3)))
    ports = tuple(
        Port(
            one,
            rng.choice((80, 8080, 9090, 65535)),
            "TCP" if plain else rng.choice(PROTOCOLS),
            "" if plain else rng.choice(APPS),
        )
        for one in names
    )
    keys = rng.sample(string.ascii_letters, rng.choice((0, 0, 1, 3, 20)))
    metadata = tuple(sorted((key, rng.choice(WORDS) * rng.choice((1, 1, 40))) for key in keys))
    return Endpoint(
        rng.choice(ADDRESSES[:58] if plain else ADDRESSES),
        ports,
        rng.choice((None, *Health)),
        Locality(rng.choice(WORDS), "dc1" if plain else rng.choice(ZONES), rng.choice(WORDS)),
        rng.choice(WORDS),
        rng.choice((1, 1, 3, 10**9)),
        "" if plain else rng.choice(WAYS),
        metadata=metadata,
    )


def some(rng: random.Random, name: ServiceName, most: int = 30) -> Service:
    """A service of up to so many endpoints, of which no two share an address and a port: the merge has united those."""
    found: list[Endpoint] = []
    taken: set[tuple[str, int]] = set()
    for one in (endpoint(rng) for _ in range(rng.randrange(1, most))):
        places = {(one.address, port.number) for port in one.ports}
        if taken.isdisjoint(places):
            taken |= places
            found.append(one)
    return Service.of(name, found)
