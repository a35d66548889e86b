"""A ConfigMap in which all replicas of one election keep their operators' decisions."""

from typing import Any, Final

from adapters.kubernetes.client import Api, Missing, path
from bridge.errors import Conflict, Unavailable
from bridge.kit.election import Kept, deciding

KEY: Final = "decisions.json"

MOST: Final = 1_000_000
"""Bytes of a document that is written; a ConfigMap takes a little more."""

PACE: Final = 2.0
"""Seconds between two looks at it."""


class ConfigMapShelf:
    """One key of one ConfigMap, which is made where it is not there; whatever else it has stays."""

    pace = PACE

    def __init__(self, api: Api, namespace: str, name: str) -> None:
        self.place = f"configmap {namespace}/{name}"
        self._api = api
        self._namespace = namespace
        self._name = name
        self._found: dict[str, Any] = {}  # the object that was read last

    async def read(self) -> Kept | None:
        """What its key says; a ConfigMap without it is one that was made ahead."""
        try:
            found = await self._api.get(self._path())
        except Missing:
            return None
        self._found = found
        content = (found.get("data") or {}).get(KEY)
        return Kept(content.encode() if content is not None else None, _revision(found))

    async def write(self, content: bytes, replaces: Kept | None) -> None:
        """Write the whole object, by its resourceVersion."""
        try:
            with deciding(self.place, content, MOST):
                if replaces is None:
                    await self._api.post(self._path(collection=True), self._object({}, content))
                elif _revision(self._found) != replaces.revision:
                    raise Conflict(f"{self.place}: was written by somebody else meanwhile; read it again")
                else:
                    await self._api.put(self._path(), self._object(self._found, content))
        except Missing as error:
            if replaces is not None:
                raise
            raise Unavailable(f"{error}; nothing was decided") from error

    async def close(self) -> None:
        """Release the connections."""
        await self._api.close()

    def _object(self, found: dict[str, Any], content: bytes) -> dict[str, Any]:
        metadata = found.get("metadata") or {"name": self._name, "namespace": self._namespace}
        data = {**(found.get("data") or {}), KEY: content.decode()}
        return {**found, "apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}

    def _path(self, *, collection: bool = False) -> str:
        parts = ("api", "v1", "namespaces", self._namespace, "configmaps")
        return path(*parts) if collection else path(*parts, self._name)


def _revision(found: dict[str, Any]) -> tuple[str, str]:
    metadata = found.get("metadata") or {}
    return metadata.get("uid", ""), metadata.get("resourceVersion", "")
