"""Doubles of the controllers that a real cluster has beside its API server, where tests need their work done."""

from collections.abc import Sequence

from tests.servers.kubernetes.client import ApiError, Client
from tests.servers.kubernetes.objects import Object, Pod, PortLike, slice_

SLICE_SIZE = 100
"""Endpoints a slice, as the controller's default."""


async def endpoints(
    api: Client,
    of: Object,
    pods: Sequence[Pod],
    ports: Sequence[PortLike] | None = None,
    *,
    size: int = SLICE_SIZE,
) -> list[Object]:
    """The controller of EndpointSlices: what stands of its slices of a Service becomes these pods, by family.

    Only what differs is written. Returned are its slices as they stand now.
    """
    wanted: dict[str, Object] = {}
    for family in ("IPv4", "IPv6"):
        members = [pod for pod in pods if (":" in pod.address) == (family == "IPv6")]
        for number, start in enumerate(range(0, len(members), size)):
            made = slice_(of, members[start : start + size], ports, number=number, family=family)
            wanted[made["metadata"]["name"]] = made
    meta = of["metadata"]
    there = await api.list("EndpointSlice", meta["namespace"], labelSelector=(
        f"kubernetes.io/service-name={meta['name']},endpointslice.kubernetes.io/managed-by=endpointslice-controller.k8s.io"
    ))  # fmt: skip
    stand = {one["metadata"]["name"]: one for one in there}
    for name in stand.keys() - wanted.keys():
        await api.delete("EndpointSlice", name, meta["namespace"])
    return [
        stand[name] if name in stand and _same(stand[name], made) else await _put(api, made, stand.get(name))
        for name, made in wanted.items()
    ]


async def collect(api: Client, namespace: str) -> list[str]:
    """The garbage collector: delete the slices of a namespace whose owners are all gone; their names."""
    alive = {one["metadata"]["uid"] for one in await api.list("Service", namespace)}
    gone = []
    for one in await api.list("EndpointSlice", namespace):
        owners = [owner["uid"] for owner in one["metadata"].get("ownerReferences", ())]
        if owners and not alive.intersection(owners):
            await api.delete("EndpointSlice", one["metadata"]["name"], namespace)
            gone.append(one["metadata"]["name"])
    return gone


async def finish(api: Client, namespace: str) -> None:
    """The controller of namespaces: empty one that was deleted, and let it go. Until then it stays, terminating."""
    for kind in ("EndpointSlice", "Service", "Lease", "ConfigMap", "Event"):
        for one in await api.list(kind, namespace):
            await _delete(api, kind, one["metadata"]["name"], namespace)
    there = await api.get("Namespace", namespace)
    there["spec"]["finalizers"] = []
    await api.replace(there, part="finalize")


async def _put(api: Client, made: Object, old: Object | None) -> Object:
    if old is None:
        return await api.create(made)
    made["metadata"]["resourceVersion"] = old["metadata"]["resourceVersion"]
    return await api.replace(made)


def _same(stands: Object, made: Object) -> bool:
    return all(stands.get(part) == made[part] for part in ("addressType", "endpoints", "ports"))


async def _delete(api: Client, kind: str, name: str, namespace: str) -> None:
    try:
        await api.delete(kind, name, namespace)
    except ApiError as error:
        if error.status != 404:
            raise
