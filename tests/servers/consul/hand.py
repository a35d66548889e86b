"""Somebody who uses a Consul by hand: registers, looks, gives and takes rights. It knows nothing of the adapter."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Self

import aiohttp

from bridge.model import Service


class HandError(Exception):
    """Consul refused it."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status} {text}")
        self.status = status


def entry(
    service: str, address: str, port: int | None = 80, *, its: str = "", node: str = "", status: str = "passing",
    tags: Sequence[str] | None = (), meta: Mapping[str, str] | None = None, **more: Any,
) -> dict[str, Any]:  # fmt: skip
    """A registration of one instance with one check, each on a node of its own; `more` are fields of the service."""
    its = its or f"{service}-{address}-{port}"
    node = node or f"vm-{address}"
    said: dict[str, Any] = {"Service": service, "ID": its, "Address": address, "Tags": tags, "Meta": meta or {}, **more}
    if port is not None:
        said["Port"] = port
    check = {"CheckID": f"check:{its}", "Name": "alive", "Status": status, "ServiceID": its}
    return {"Node": node, "Address": address, "Service": said, "Check": check}


class Hand:
    """Requests with one token. Servers that elect a leader are asked again for `patience` seconds."""

    def __init__(self, url: str, token: str, patience: float = 0.0) -> None:
        self._url = url
        self._token = token
        self._patience = patience
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        headers = {"X-Consul-Token": self._token} if self._token else {}
        self._session = aiohttp.ClientSession(headers=headers, timeout=aiohttp.ClientTimeout(total=90))
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._session is not None
        await self._session.close()

    async def get(self, path: str) -> Any:
        """What `/v1/PATH` says."""
        return await self._ask("GET", path, None)

    async def put(self, path: str, body: Any = None) -> Any:
        """Write it there."""
        return await self._ask("PUT", path, body)

    async def raw(self, method: str, path: str, body: bytes | None = None) -> bytes:
        """Bytes for bytes."""
        assert self._session is not None
        async with self._session.request(method, f"{self._url}/v1/{path}", data=body) as answer:
            said = await answer.read()
            if answer.status >= 300:
                raise HandError(answer.status, said.decode(errors="replace"))
            return said

    async def register(self, *entries: Mapping[str, Any]) -> None:
        """Put instances into the catalog, as whoever has no agent does."""
        for one in entries:
            await self.put("catalog/register", one)

    async def say(self, service: str, *addresses: str, **more: Any) -> None:
        """`10.0.0.1:80` and others as instances that pass."""
        for one in addresses:
            host, _, port = one.rpartition(":")
            await self.register(entry(service, host, int(port), **more))

    async def forget(self, service: str, *addresses: str) -> None:
        """Take instances out of the catalog; all of the service without addresses."""
        for one in await self.get(f"catalog/service/{service}"):
            if not addresses or f"{one['ServiceAddress']}:{one['ServicePort']}" in addresses:
                await self.put("catalog/deregister", {"Node": one["Node"], "ServiceID": one["ServiceID"]})

    async def status(self, service: str, address: str, status: str) -> None:
        """What an instance's check says from now on."""
        host, _, port = address.rpartition(":")
        await self.register(entry(service, host, int(port), status=status))

    async def replace(self, service: Service, node: str, tag: str) -> None:
        """Let exactly these endpoints be there on a node, with this tag."""
        name = service.name.name
        wanted = {f"{name}-{one.address}-{one.ports[0].number}": one for one in service.endpoints}
        for its, one in wanted.items():
            await self.register(entry(name, one.address, one.ports[0].number, its=its, node=node, tags=[tag]))
        await self.only(name, node, wanted)

    async def only(self, service: str, node: str, ids: Collection[str] = ()) -> None:
        """Take every instance of a service off a node but these."""
        for one in await self.get(f"catalog/service/{service}"):
            if one["Node"] == node and one["ServiceID"] not in ids:
                await self.put("catalog/deregister", {"Node": node, "ServiceID": one["ServiceID"]})

    async def clear(self, *, but: str) -> None:
        """Take away every node with all that is on it, but this one."""
        for one in await self.get("catalog/nodes"):
            if one["Node"] != but:
                await self.put("catalog/deregister", {"Node": one["Node"]})

    async def policy(self, name: str, rules: str) -> None:
        """Make a policy, or give it other rules."""
        known = {one["Name"]: one["ID"] for one in await self.get("acl/policies")}
        body = {"Name": name, "Rules": rules}
        await self.put(f"acl/policy/{known[name]}" if name in known else "acl/policy", body)

    async def token(self, policy: str) -> tuple[str, str]:
        """A new token with one policy: the secret, and the accessor by which it is deleted."""
        made = await self.put("acl/token", {"Policies": [{"Name": policy}]})
        return str(made["SecretID"]), str(made["AccessorID"])

    async def revoke(self, accessor: str) -> None:
        """Delete a token."""
        await self._ask("DELETE", f"acl/token/{accessor}", None)

    async def _ask(self, method: str, path: str, body: Any) -> Any:
        assert self._session is not None
        clock = asyncio.get_running_loop().time
        until = clock() + self._patience
        while True:
            async with self._session.request(method, f"{self._url}/v1/{path}", json=body) as answer:
                if answer.status < 300:
                    return await answer.json(content_type=None)
                if answer.status < 500 or clock() >= until:
                    raise HandError(answer.status, await answer.text())
            await asyncio.sleep(0.1)
