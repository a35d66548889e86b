"""The dialects by the names that a configuration has for them."""

from typing import Final, Literal, NamedTuple, get_args

from adapters.zookeeper.dialects.curator import Curator
from adapters.zookeeper.dialects.dialect import UNNAMED, Dialect, PortNames, Written
from adapters.zookeeper.dialects.dubbo import Dubbo
from adapters.zookeeper.dialects.dubbo_app import DubboApp
from adapters.zookeeper.dialects.kafka import Kafka
from adapters.zookeeper.dialects.nerve import Nerve
from adapters.zookeeper.dialects.party import Party, ShallowParty
from adapters.zookeeper.dialects.plain import Plain
from adapters.zookeeper.dialects.serverset import ServerSet
from adapters.zookeeper.dialects.solr import Solr
from adapters.zookeeper.dialects.spring import Spring

WrittenName = Literal["curator", "spring", "serverset", "nerve", "dubbo", "dubbo-app", "plain", "party", "kingpin"]
Name = Literal[WrittenName, "solr", "kafka"]
NAMES: Final[tuple[Name, ...]] = get_args(Name)


class Options(NamedTuple):
    """All that some dialect can be told; each takes what it knows.

    `encoded` is Nerve's path encoding, `listener` Kafka's, the rest from `protocol` on Dubbo's.
    """

    names: PortNames = UNNAMED
    ephemeral: bool = False
    encoded: bool = False
    listener: str = ""
    protocol: str = "dubbo"
    group: str | None = None
    version: str | None = None
    interfaces: tuple[str, ...] = ()
    root: str = "/dubbo"


def dialect(name: Name, options: Options) -> Dialect:
    """The dialect of that name, as it is read."""
    match name:
        case "solr":
            return Solr(options.names)
        case "kafka":
            return Kafka(options.names, options.listener)
        case _:
            return written(name, options)


def written(name: WrittenName, options: Options) -> Written:
    """The dialect of that name, as it is written too."""
    match name:
        case "curator":
            return Curator(options.names, options.ephemeral)
        case "spring":
            return Spring(options.names, options.ephemeral)
        case "serverset":
            return ServerSet(options.names)
        case "nerve":
            return Nerve(options.names, options.encoded)
        case "dubbo":
            return Dubbo(options.protocol, options.group, options.version, options.ephemeral)
        case "dubbo-app":
            group, version = options.group or "", options.version or ""
            return DubboApp(
                options.names,
                options.ephemeral,
                options.protocol,
                options.interfaces,
                group,
                version,
                options.root,
            )
        case "plain":
            return Plain(options.names)
        case "party":
            return Party(options.names)
        case "kingpin":
            return ShallowParty(options.names)
