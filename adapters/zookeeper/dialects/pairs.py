"""What an endpoint says in a map of texts, where its dialect has one: metadata, labels, parameters.

`region`, `zone`, `sub_zone` and, where there is no better place for it, `weight` are everybody's words; what nobody
else has a word for stands under `registry-bridge.`, and is read in records of bridges only.
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from adapters.zookeeper.dialects import words
from bridge.adapter import RecordKey
from bridge.kit import mark
from bridge.kit.mark import Stamp
from bridge.model import NOWHERE, Endpoint, Locality, Metadata

MARK: Final = "registry-bridge"
NETWORK: Final = f"{MARK}.network"
VIA: Final = f"{MARK}.via"
WEIGHT: Final = "weight"
PLACE: Final = Locality._fields


class Pairs(NamedTuple):
    """What a map says of an endpoint besides its metadata; `weight` is None where it says none."""

    metadata: Metadata
    locality: Locality
    network: str
    via: str
    weight: int | None


def read(said: Mapping[str, str], *, weighs: bool) -> Pairs:
    """The parts of a map; `weighs` says that `weight` is one of them. ValueError when one will not do."""
    marked = MARK in said
    place = words.locality(*(said.get(part, "") for part in PLACE)) if any(p in said for p in PLACE) else NOWHERE
    weight = None
    if weighs and WEIGHT in said:
        weight = words.number_of(said[WEIGHT], WEIGHT, 0, words.MAX_WEIGHT)
    kept = {key: one for key, one in said.items() if not reserved(key, weighs=weighs)}
    via = _path(said.get(VIA, "")) if marked else ""
    return Pairs(words.metadata(kept), place, said.get(NETWORK, "") if marked else "", via, weight)


def write(endpoint: Endpoint, *, weighs: bool) -> dict[str, str]:
    """The map of an endpoint, without the mark."""
    said = {key: value for key, value in endpoint.metadata if not reserved(key, weighs=weighs)}
    said |= {part: value for part, value in zip(PLACE, endpoint.locality, strict=True) if value}
    if weighs and endpoint.weight != 1:
        said[WEIGHT] = str(endpoint.weight)
    if endpoint.network:
        said[NETWORK] = endpoint.network
    if endpoint.via:
        said[VIA] = endpoint.via
    return dict(sorted(said.items()))


def reserved(key: str, *, weighs: bool) -> bool:
    """Whether a key is a word of this map, and so none of metadata."""
    return key in PLACE or (weighs and key == WEIGHT) or _ours(key)


def marked(said: Mapping[str, str], owner: str, stem: str) -> dict[str, str]:
    """The map with the mark, which stands first."""
    return {MARK: str(Stamp(owner, RecordKey(stem))), **said}


def unmarked(said: dict[str, Any], texts: str, stamp: Stamp | None) -> dict[str, Any]:
    """An object without this mark in its map `texts`, and without the map where nothing else was in it."""
    marked = said.get(texts)
    if stamp is None or not isinstance(marked, dict) or marked.get(MARK) != str(stamp):
        return said
    kept = {key: one for key, one in marked.items() if key != MARK}
    return {**said, texts: kept} if kept else {key: one for key, one in said.items() if key != texts}


def _ours(key: str) -> bool:
    return key == MARK or key.startswith(f"{MARK}.")


def _path(via: str) -> str:
    return " ".join(mark.owner_name(owner) for owner in via.split(" ")) if via else ""
