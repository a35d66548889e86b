"""SmartStack: Nerve writes an instance as a znode of JSON, and Synapse reads it once.

Synapse watches the children and not what they hold, so that a change is a new child. Its leader election wants digits
behind the last `_` of every name. With path encoding the JSON stands in the name too.
"""

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from adapters.zookeeper.dialects import pairs, words
from adapters.zookeeper.dialects.dialect import (
    UNNAMED,
    Child,
    Instance,
    Node,
    Part,
    Places,
    PortNames,
    Said,
    Spelled,
    Written,
)
from bridge.kit.mark import Stamp
from bridge.model import Endpoint, Health, Port

_ENCODED: Final = re.compile(r"base64_([0-9]{1,5})_([-_A-Za-z0-9]+={0,2})_[0-9]+", re.ASCII)
LONGEST_NAME: Final = 65_536
HEAVIEST: Final = 256


@dataclass(frozen=True)
class Nerve(Written):
    """`encoded` says whether what is written has its JSON in the name too, as Nerve's `use_path_encoding`."""

    names: PortNames = UNNAMED
    encoded: bool = False

    name: ClassVar[str] = "nerve"
    in_place: ClassVar[bool] = False
    places: ClassVar[Places] = Places.LOCALITY | Places.NETWORK | Places.WEIGHT | Places.METADATA
    heaviest: ClassVar[int] = HEAVIEST

    def is_member(self, branch: str, name: str) -> bool:
        return True

    def read(self, child: Child) -> Part:
        said = _in_name(child.name)
        if said is None:
            said = words.json_object(child.data)
        where = words.host(said.get("host"))
        ports = words.one_port(self.names.default, words.port(said.get("port")))
        weight = words.number(said.get("weight", 1), "weight", 0, words.MAX_WEIGHT)
        found = pairs.read(words.texts(said.get("labels") or {}, "labels"), weighs=False)
        return Instance(
            Endpoint(
                where,
                ports,
                None if weight else Health.DRAINING,
                found.locality,
                found.network,
                weight or 1,
                found.via,
                metadata=found.metadata,
            )
        )

    def stamp(self, child: Child) -> Stamp | None:
        said = _in_name(child.name)
        return words.stamp_in(child.data if said is None else words.compact(said))

    def ports(self, ports: tuple[Port, ...]) -> tuple[Port, ...]:
        return words.one_port(self.names.default, ports[0].number)

    def reserved(self, key: str) -> bool:
        return pairs.reserved(key, weighs=False)

    def say(self, service: Spelled, endpoint: Endpoint) -> Said:
        said: dict[str, Any] = {"host": endpoint.address, "port": endpoint.ports[0].number}
        if endpoint.weight != 1:
            said["weight"] = endpoint.weight
        if labels := pairs.write(endpoint, weighs=False):
            said["labels"] = labels
        content = words.compact(said)
        return Said(f"{endpoint.id}~{words.digest(content)}", content)

    def node(self, said: Said, owner: str) -> Node:
        instance = words.json_object(said.content)
        name = _instance_id(said.stem, owner)
        labels = pairs.marked(instance.pop("labels", {}), owner, said.stem)
        before = {"host": instance.pop("host"), "port": instance.pop("port"), "name": name}
        data = words.compact(before | instance | {"labels": labels})
        if self.encoded:
            text = base64.urlsafe_b64encode(data).decode()
            if len(text) <= LONGEST_NAME:  # Nerve, too, lets go of encoding what is longer
                name = f"base64_{len(text)}_{text}"
        return Node("", f"{name}_", data, sequential=True)

    def content(self, child: Child) -> bytes:
        stamp = self.stamp(child)
        try:
            said = _in_name(child.name) or words.json_object(child.data)
        except ValueError:
            return child.data
        if stamp is None:
            return words.compact(said)
        if said.get("name") == _instance_id(stamp.key, stamp.owner):
            del said["name"]
        labels = said.get("labels")
        if isinstance(labels, dict) and labels.get(pairs.MARK) == str(stamp):
            del labels[pairs.MARK]
            if not labels:
                del said["labels"]
        return words.compact(said)

    def stem(self, child: Child) -> str | None:
        return None


def is_encoded(name: str) -> bool:
    """Whether a name says that it holds the JSON."""
    return _ENCODED.fullmatch(name) is not None


def _in_name(name: str) -> dict[str, Any] | None:
    """The JSON that is encoded in a name, None when there is none or it is broken: then the data count."""
    found = _ENCODED.fullmatch(name)
    if found is None or len(found[2]) != int(found[1]):
        return None
    try:
        return words.json_object(base64.urlsafe_b64decode(found[2]))
    except (binascii.Error, ValueError):
        return None


def _instance_id(stem: str, owner: str) -> str:
    """Ours alone, and the same whenever it is asked for: so one whose making was not answered is found again."""
    return f"registry-bridge-{words.digest(owner, stem)}"
