"""One Consul, asked through python-consul over a transport of ours: async, with deadlines, and errors by reaction.

The same runs on `python-consul` and on its maintained fork `py-consul`: of both only what makes a question and reads an
answer is used, and nothing that knows of tokens, addresses or time.
"""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote, urlencode

import aiohttp
from yarl import URL

from adapters.consul.access import Access
from adapters.consul.answer import INDEX, Answer
from adapters.consul.transaction import NO_RIGHT, Operation, Outcome, body, done, encoded, undone
from bridge.errors import BridgeError, Conflict, Denied, Rejected, Unavailable
from bridge.kit import answers
from bridge.kit.place import excerpt

WAIT: Final = 55
"""Seconds for which a question waits for something new: as long as a reset can go unnoticed."""

SLACK: Final = 5.0
"""Seconds beyond the wait and the sixteenth of it that a server adds."""


_NAMES: Final = ("`url`", "`tls.ca`", "`tls.cert` and `tls.key`")


class Unreached(Unavailable):
    """There was no answer at all: others will have none either."""


class Api:
    """Questions to one Consul. All raise Denied, Unavailable, Conflict or Rejected; nothing is retried.

    `index` makes a question wait for what is newer than that. `scope` are further parameters of every question.
    """

    def __init__(self, where: str, access: Access, timeout: float, datacenter: str, scope: Mapping[str, str]) -> None:
        """`where` is what messages begin with, `timeout` the seconds for an answer that does not wait."""
        self.where = where
        self._transport = Transport(where, access, timeout, scope)
        self._datacenter = datacenter
        self._made: Any = None

    async def services(self, index: int = 0) -> Answer:
        """The names of services, each with the tags of its instances."""
        return await self._ask("services", self._consul.catalog.services, index)

    async def nodes(self, index: int = 0) -> Answer:
        """All nodes."""
        return await self._ask("nodes", self._consul.catalog.nodes, index)

    async def nodes_with(self, key: str, value: str, index: int = 0) -> Answer:
        """The nodes that have this in their meta."""
        return await self._ask("nodes", lambda **how: self._consul.catalog.nodes(node_meta={key: value}, **how), index)

    async def checks_in(self, state: str, index: int = 0) -> Answer:
        """The checks that are `critical`, or `warning`; the index moves with every check, whatever its state."""
        return await self._ask("checks", lambda **how: self._consul.health.state(state, **how), index)

    async def summary(self) -> Answer:
        """What Consul's own page shows of all services: where there are how many instances, and in which states.

        No documentation promises it.
        """
        return await self._raw("/v1/internal/ui/services", 0)

    async def instances(self, name: str, index: int = 0) -> Answer:
        """The instances of a service, with their nodes and checks."""
        quoted = path_part(name)
        return await self._ask(f"service {name}", lambda **how: self._consul.health.service(quoted, **how), index)

    async def node(self, name: str, index: int = 0) -> Answer:
        """A node with its services; null where it is not there."""
        return await self._raw(f"/v1/catalog/node/{path_part(name)}", index)

    async def checks(self, node: str, index: int = 0) -> Answer:
        """All checks of a node and of its services."""
        return await self._raw(f"/v1/health/node/{path_part(node)}", index)

    async def keys(self, under: str, index: int = 0) -> Answer:
        """The keys that begin so, with their values; null where there is none."""
        return await self._raw(f"/v1/kv/{quote(under)}", index, ("recurse", ""))

    async def key(self, name: str) -> Answer:
        """One key with its value, in a list; null where it is not there."""
        return await self._raw(f"/v1/kv/{quote(name)}", 0)

    async def transact(self, operations: Sequence[Operation], what: str) -> Sequence[Any]:
        """Do all of these or none; the results. `what` is what messages call it.

        Raises Conflict where something stands otherwise than an operation says, Rejected where one will not do, Denied,
        or Unavailable, after which it may have been done.
        """
        outcome = await self.attempt([*map(encoded, operations)], what)
        if outcome.refused:
            raise outcome.refused[0].error(f"{self.where}: {what}")
        return outcome.results

    async def attempt(self, operations: Sequence[bytes], what: str) -> Outcome:
        """As `transact`, with what stands in the way told and not raised where it is an operation of these."""
        answer = await self._transport.ask(
            "PUT",
            "/v1/txn",
            self._in_datacenter,
            limit=self._transport.timeout,
            body=body(operations),
            takes=(200, 400, 409),
        )
        if answer.status == 400:
            raise Rejected(f"{self.where}: {what}: is not taken by this Consul: {excerpt(answer.text, 200)}")
        said = answer.read()
        return undone(said, f"{self.where}: {what}", len(operations)) if answer.status == 409 else done(said)

    async def leader(self, limit: float) -> str:
        """The address of the leader, "" when there is none; Unreached when nothing is heard for `limit` seconds."""
        answer = await self._transport.ask("GET", "/v1/status/leader", self._in_datacenter, limit=limit)
        said = answer.read()
        return said if isinstance(said, str) else ""

    async def close(self) -> None:
        """Release every connection."""
        await self._transport.access.close()

    @property
    def _in_datacenter(self) -> tuple[tuple[str, str], ...]:
        return (("dc", self._datacenter),) if self._datacenter else ()

    @property
    def _consul(self) -> Any:
        if self._made is None:
            self._made = _through(self._transport, self._datacenter)
        return self._made

    async def _raw(self, path: str, index: int, *params: tuple[str, str]) -> Answer:
        """What python-consul cannot ask with a token, or says nothing of when it is not there."""

        async def ask(index: int) -> Answer:
            waits = (("index", str(index)), ("wait", f"{WAIT}s")) if index else ()
            limit = _longest(f"{WAIT}s") if index else self._transport.timeout
            asked = (*params, *waits, *self._in_datacenter)
            return await self._transport.ask("GET", path, asked, limit=limit, takes=(200, 404))

        return await self._anew(path, ask, index)

    async def _ask(self, what: str, method: Callable[..., Any], index: int) -> Answer:
        async def ask(index: int) -> Answer:
            made: Answer = await method(**({"index": index, "wait": f"{WAIT}s"} if index else {}))
            return made

        return await self._anew(what, ask, index)

    async def _anew(self, what: str, ask: Callable[[int], Awaitable[Answer]], index: int) -> Answer:
        """An answer of a server that knows its leader, to who we are now: a question that waited may be of before."""
        try:
            answer = await ask(index)
        except Denied:
            if not index:
                raise
            answer = await ask(0)
        if answer.filtered and index:
            answer = await ask(0)
        if answer.leaderless:
            raise Unavailable(
                f"{self.where}: {what}: the server knows no leader, and may be behind; see its raft peers"
            )
        return answer


class Transport:
    """What python-consul calls to have a question asked; the callback that it gives reads the answer."""

    def __init__(self, where: str, access: Access, timeout: float, scope: Mapping[str, str]) -> None:
        self.access = access
        self._where = where
        self.timeout = timeout
        self._scope = tuple(scope.items())

    async def get(self, callback: Any, path: str, params: Any = None, **_: Any) -> Answer:
        pairs = [(key, value) for key, value in params or () if key != "token"]
        wait = next((str(value) for key, value in pairs if key == "wait"), "")
        limit = _longest(wait) if wait else self.timeout
        return await self.ask("GET", path, pairs, limit=limit, callback=callback)

    def put(self, *_: Any, **__: Any) -> Any:
        raise NotImplementedError("neither package sends what an ACL needs of a write; nothing is written through it")

    post = delete = put

    def close(self) -> None:
        """Its connections are closed with the access."""

    async def ask(
        self,
        method: str,
        path: str,
        params: Sequence[tuple[str, Any]],
        *,
        limit: float,
        body: bytes | None = None,
        callback: Any = None,
        takes: Sequence[int] = (200,),
    ) -> Answer:
        """An answer that is none of an error, or of a status that the question takes; of 404 it says null.

        Without a callback it is read as JSON.
        """
        place = f"{self._where}: {path.removeprefix('/v1/')}"
        try:
            login = await self.access.login()
        except Denied as error:
            raise Denied(f"{self._where}: {error}") from None
        query = urlencode([*params, *self._scope])
        url = URL(f"{login.url}{path}{'?' if query else ''}{query}", encoded=True)
        try:
            async with (login.session if method == "GET" else login.writing).request(
                method,
                url,
                data=body,
                headers={**login.headers, "User-Agent": "registry-bridge", "Accept-Encoding": "identity"},
                timeout=aiohttp.ClientTimeout(total=limit),
                allow_redirects=False,
            ) as answer:
                said = await answers.whole(answer, place, "select fewer services")
                status, headers = answer.status, answer.headers
        except TimeoutError:
            raise Unreached(f"{place}: has no answer within {limit:.3g} s; see the agent, or raise `timeout`") from None
        except (aiohttp.ClientError, OSError) as error:
            raise Unreached(f"{place}: {answers.lost(error, *_NAMES)}") from None
        if status not in takes:
            raise refusal(status, said, place)
        said = b"null" if status == 404 else said
        return Answer.of(headers, said, lambda: _parsed(callback, said, place), status)


def path_part(text: str) -> str:
    """A name as one part of a path; Rejected when it would lead elsewhere."""
    if text in ("", ".", ".."):
        raise Rejected(f"{text!r} names nothing in a Consul")
    return quote(text, safe="")


_UNKNOWN: Final = "ACL not found"
_MEND: Final = {
    "HTTP request to an HTTPS server": "write `url` with https:",
    "Consul Enterprise feature": "remove `enterprise`",
}
_ANY: Final = "correct the registry's configuration"


def refusal(status: int, body: bytes, place: str) -> BridgeError:
    """What an answer that is an error asks for."""
    said = excerpt(" ".join(body[:500].decode(errors="replace").split()), 200) if body.strip() else f"status {status}"
    what = f"{place}: {said}"
    if status == 403 and _UNKNOWN in said:
        return Denied(
            f"{place}: nobody has this token there ({said}): it was deleted, or is another Consul's; correct the token"
        )
    if status in (401, 403) or (status == 500 and any(word in said for word in NO_RIGHT)):
        return Denied(f"{what}; correct the token, or give it the right that is missing")
    if status == 409:
        return Conflict(what)
    if status == 413:
        return Rejected(what)
    if status == 404:
        return Unavailable(f"{what} (404); correct `url`")
    if status == 429:
        return Unavailable(f"{what} (429); it is asked less often, or raise `limits.http_max_conns_per_client`")
    if status == 400:
        return Unavailable(f"{what}; {next((then for word, then in _MEND.items() if word in said), _ANY)}")
    if "No path to datacenter" in said:
        return Unavailable(f"{what}; correct `datacenter`, or see whether the WAN knows it")
    if "No cluster leader" in said:
        return Unavailable(f"{what}; see its servers, which elect one when most of them run")
    return Unavailable(f"{what} ({status})")


def _longest(wait: str) -> float:
    """Seconds until an answer to a question that waits is late."""
    return float(wait.removesuffix("s")) * 17 / 16 + SLACK


def _through(transport: Transport, datacenter: str) -> Any:
    """python-consul's client over our transport, whatever the environment says of servers and tokens."""
    import consul.base  # it costs a third of a second, which others need not pay
    from consul import ConsulException

    class Through(consul.base.Consul):  # type: ignore[misc]  # it has no types
        def http_connect(self, *_: Any) -> Transport:
            return transport

    if not hasattr(consul.base.Consul, "http_connect"):
        Through.connect = Through.http_connect  # the hook's name in python-consul
    try:
        return Through(dc=datacenter or None)
    except ConsulException as error:
        raise Unavailable(f"environment variable CONSUL_HTTP_ADDR: {error}; unset it, for it is not used") from None


def _parsed(callback: Any, body: bytes, place: str) -> Any:
    from consul import ConsulException
    from consul.base import Response

    try:
        if callback is None:
            return json.loads(body)
        read = callback(Response(200, {INDEX: "1"}, body.decode()))
    except (ConsulException, ValueError, TypeError, LookupError) as error:
        raise Unavailable(f"{place}: is answered by something that is no Consul ({type(error).__name__})") from None
    return read[1] if isinstance(read, tuple) else read
