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
from adapters.zookeeper.dialects.dialect import Child, Instance, Node, Part, Said, Spelled
from adapters.zookeeper.dialects.weighed import Weighed
from bridge.kit.mark import Stamp
from bridge.model import Endpoint, EndpointId

_ENCODED: Final = re.compile(r"base64_([0-9]{1,5})_([-_A-Za-z0-9]+={0,2})_[0-9]+", re.ASCII)
LONGEST_NAME: Final = 65_536
HEAVIEST: Final = 256


@dataclass(frozen=True)
class Nerve(Weighed):
    """`encoded` says whether what is written has its JSON in the name too, as Nerve's `use_path_encoding`."""

    encoded: bool = False

    name: ClassVar[str] = "nerve"
    texts: ClassVar[str] = "labels"
    in_place: ClassVar[bool] = False
    heaviest: ClassVar[int] = HEAVIEST

    def read(self, child: Child) -> Part:
        said = _in_name(child.name)
        if said is None:
            said = words.json_object(child.data)
        where = EndpointId(words.host(said.get("host")), words.port(said.get("port")))
        return Instance(self.endpoint(where, said))

    def stamp(self, child: Child) -> Stamp | None:
        said = _in_name(child.name)
        return words.stamp_in(child.data if said is None else words.compact(said))

    def say(self, service: Spelled, endpoint: Endpoint) -> Said:
        content = words.compact(self.fields(endpoint))
        return Said(f"{endpoint.id}~{words.digest(content)}", content)

    def node(self, said: Said, owner: str) -> Node:
        instance = words.json_object(said.content)
        name = _instance_id(said.stem, owner)
        labels = pairs.marked(instance.pop(self.texts, {}), owner, said.stem)
        before = {"host": instance.pop("host"), "port": instance.pop("port"), "name": name}
        data = words.compact(before | instance | {self.texts: labels})
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
        return words.compact(pairs.unmarked(said, self.texts, stamp))


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
