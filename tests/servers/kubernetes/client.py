"""A plain client of the API server for tests, independent of the adapter: objects in, objects out."""

import asyncio
import itertools
import json
import secrets
import ssl
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import product
from typing import Any, NamedTuple, Self

import aiohttp

from tests.servers.kubernetes.objects import KINDS, Object, plural, thing

Rule = tuple[str, str, str]
"""API group ("" for the core), resources and verbs, each separated by blanks: ("", "services", "list watch")."""


class Right(NamedTuple):
    """One verb of one resource, of the object of this name alone where there is one."""

    group: str
    resource: str
    verb: str
    name: str = ""


PATIENCE = 60.0
"""Seconds until rights are in force, at most."""


class ApiError(Exception):
    """What the server refused: `status` is its HTTP status, `reason` and the text its own words."""

    def __init__(self, status: int, body: Any) -> None:
        said = body if isinstance(body, Mapping) else {}
        self.status = status
        self.reason = str(said.get("reason", ""))
        super().__init__(f"{status} {self.reason}: {said.get('message', body)}")


class Client:
    """Somebody who asks the API server; `async with` closes it. Kinds are those of `objects.KINDS`."""

    _names = itertools.count(1)

    def __init__(self, server: str, trust: ssl.SSLContext, token: str) -> None:
        self._session = aiohttp.ClientSession(
            server,
            headers={"Authorization": f"Bearer {token}"} if token else {},
            connector=aiohttp.TCPConnector(ssl=trust),
            timeout=aiohttp.ClientTimeout(total=90),
            read_bufsize=1 << 24,  # a line of a watch is a whole object
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def request(
        self, method: str, path: str, body: Object | None = None, *, kind: str = "application/json", **params: Any
    ) -> Any:
        """The answer's JSON; ApiError when it is none of success."""
        async with self._session.request(
            method,
            path,
            data=None if body is None else json.dumps(body),
            headers={"Content-Type": kind},
            params={key: str(value) for key, value in params.items()},
        ) as answer:
            text = await answer.text()
            said = json.loads(text) if answer.content_type == "application/json" else text
            if answer.status >= 400:
                raise ApiError(answer.status, said)
            return said

    async def create(self, made: Object, **params: Any) -> Object:
        """The object as it is stored."""
        meta = made["metadata"]
        return await self._object("POST", path(made["kind"], meta.get("namespace", "")), made, **params)

    async def get(self, kind: str, name: str, namespace: str = "") -> Object:
        return await self._object("GET", path(kind, namespace, name))

    async def list(self, kind: str, namespace: str = "", **params: Any) -> list[Object]:
        """All of a kind, of all namespaces when none is named; `labelSelector` and others by their own names."""
        version, _ = KINDS[kind]
        said = await self.request("GET", path(kind, namespace), **params)
        return [{"apiVersion": version, "kind": kind, **one} for one in said["items"]]

    async def replace(self, made: Object, *, part: str = "") -> Object:
        """Put it, with the resourceVersion that it carries; `part` is a subresource such as status."""
        return await self._object("PUT", _path_of(made, part), made)

    async def patch(self, made: Object, change: Object, *, part: str = "") -> Object:
        """Merge a change into what stands there under the object's name."""
        return await self._object("PATCH", _path_of(made, part), change, kind="application/merge-patch+json")

    async def apply(self, made: Object, manager: str = "tests") -> Object:
        """Server-side apply, as `kubectl apply --server-side` does it, with every unknown field refused."""
        return await self._object(
            "PATCH", _path_of(made), made, kind="application/apply-patch+yaml",
            fieldManager=manager, fieldValidation="Strict", force="true",
        )  # fmt: skip

    async def delete(self, kind: str, name: str, namespace: str = "", **options: Any) -> None:
        """Delete it at once; `options` are those of DeleteOptions, such as preconditions."""
        body = {"apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": 0, **options}
        await self.request("DELETE", path(kind, namespace, name), body)

    @asynccontextmanager
    async def watch(self, kind: str, namespace: str = "", **params: Any) -> AsyncIterator[AsyncIterator[Object]]:
        """The events of a kind from `resourceVersion` on, bookmarks too when they are allowed."""
        async with self._session.get(
            path(kind, namespace),
            params={"watch": "true", **{key: str(value) for key, value in params.items()}},
            timeout=aiohttp.ClientTimeout(total=None),
        ) as answer:
            if answer.status >= 400:
                raise ApiError(answer.status, json.loads(await answer.text()))

            async def events() -> AsyncIterator[Object]:
                async for line in answer.content:
                    yield json.loads(line)

            yield events()

    async def namespace(self, prefix: str = "t", **labels: str) -> str:
        """The name of a namespace made just now, of nobody else."""
        name = f"{prefix}-{next(self._names)}-{secrets.token_hex(3)}"
        await self.create(thing("Namespace", name, labels=labels))
        return name

    async def account(self, namespace: str, name: str = "bridge") -> str:
        """A token of a service account that is made for it where it is not there: an identity without any right.

        RBAC knows it as `system:serviceaccount:NAMESPACE:NAME`; `allow` takes it so.
        """
        try:
            await self.create(thing("ServiceAccount", name, namespace))
        except ApiError as error:
            if error.status != 409:
                raise
        return await self.token(namespace, name)

    async def token(self, namespace: str, name: str, seconds: int = 3600) -> str:
        """A fresh token of a service account; 600 seconds is the shortest that the server gives."""
        body = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"expirationSeconds": seconds},
        }
        said = await self.request("POST", f"{path('ServiceAccount', namespace, name)}/token", body)
        return str(said["status"]["token"])

    async def allow(self, user: str, rules: Sequence[Rule], namespace: str = "") -> Object:
        """Give a user these rights, in one namespace or everywhere; what is returned is the role, to be patched.

        It may be called again with other rules: they replace those of before. Whoever decides hears of them, and of
        those that are taken, a little later, and is waited for.
        """
        name = f"rights-{user.replace(':', '-')}"
        kind = "Role" if namespace else "ClusterRole"
        before = await self._granted(kind, name, namespace)
        role = thing(kind, name, namespace, rules=[
            {"apiGroups": [group], "resources": resources.split(), "verbs": verbs.split()}
            for group, resources, verbs in rules
        ])  # fmt: skip
        made = await self.apply(role)
        await self.apply(
            thing(f"{kind}Binding", name, namespace, subjects=[_subject(user)],
                  roleRef={"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name})
        )  # fmt: skip
        given = granted(made)
        await self.heard(user, given, namespace)
        await self.heard(user, before - given, namespace, may=False)
        return made

    async def heard(self, user: str, them: Collection[Right], namespace: str = "", *, may: bool = True) -> None:
        """Wait until whoever decides knows that a user may do all of this, or none of it."""
        async with asyncio.timeout(PATIENCE):
            for one in them:
                while await self._may(user, one, namespace) != may:
                    await asyncio.sleep(0.02)

    async def _granted(self, kind: str, name: str, namespace: str) -> set[Right]:
        """What a role grants, nothing where it is not there."""
        try:
            return granted(await self.get(kind, name, namespace))
        except ApiError as error:
            if error.status != 404:
                raise
            return set()

    async def _may(self, user: str, one: Right, namespace: str) -> bool:
        plain, _, part = one.resource.partition("/")
        what = {
            "group": one.group, "resource": plain, "subresource": part, "verb": one.verb, "name": one.name,
            "namespace": namespace,
        }  # fmt: skip
        where = "/apis/authorization.k8s.io/v1"
        asked = {"apiVersion": where.removeprefix("/apis/"), "kind": "SubjectAccessReview"}
        spec = {"user": user, "resourceAttributes": what}
        said = await self.request("POST", f"{where}/subjectaccessreviews", {**asked, "spec": spec})
        return bool(said["status"]["allowed"])

    async def _object(self, method: str, where: str, body: Object | None = None, **params: Any) -> Object:
        said: Object = await self.request(method, where, body, **params)
        return said


def granted(role: Object) -> set[Right]:
    """What a role grants, one by one."""
    return {
        Right(*each)
        for one in role.get("rules") or ()
        for each in product(one["apiGroups"], one["resources"], one["verbs"], one.get("resourceNames") or [""])
    }


def path(kind: str, namespace: str = "", name: str = "") -> str:
    """The URL's path of a kind, or of one object."""
    version, namespaced = KINDS[kind]
    parts = ["", "apis" if "/" in version else "api", version]
    if namespaced and namespace:
        parts += ["namespaces", namespace]
    return "/".join([*parts, plural(kind), *([name] if name else [])])


def _path_of(made: Object, part: str = "") -> str:
    meta = made["metadata"]
    where = path(made["kind"], meta.get("namespace", ""), meta["name"])
    return f"{where}/{part}" if part else where


def _subject(user: str) -> Object:
    account = user.split(":")
    if len(account) == 4 and account[:2] == ["system", "serviceaccount"]:
        return {"kind": "ServiceAccount", "namespace": account[2], "name": account[3]}
    return {"kind": "User", "name": user, "apiGroup": "rbac.authorization.k8s.io"}
