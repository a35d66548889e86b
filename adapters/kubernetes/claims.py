"""Who writes: the claim of an owner, kept in a Lease of its own in the claim namespace.

The holder is the deployment, the transitions are the term, the renewal is the beat. It is no election: that Lease is
another one. What somebody edited by hand counts as far as it can be read, so that it can be claimed anew.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any, Final

from adapters.kubernetes.objects import FORMAT, MANAGER, OWNER, PREFIX, TARGET, Key, key_of
from adapters.kubernetes.slices import Revision
from bridge.adapter import Claim, Target
from bridge.kit import names
from bridge.kit.mark import FORMAT as FORMAT_NOW
from bridge.kit.place import excerpt

CLAIM: Final = f"{PREFIX}claim"
"""The label by which claims are found among other Leases."""

TOMBSTONE: Final = f"{PREFIX}tombstone"

SECONDS: Final = 60
"""For which a beat counts, as the Lease says it to whoever looks."""


@dataclass(frozen=True, slots=True)
class KubeClaim:
    """A claim as it stands there, and the target that it is of."""

    key: Key
    target: str
    claim: Claim


def claim_of(said: Mapping[str, Any]) -> KubeClaim:
    """A Lease as the API says it; ValueError when it says not whose it is."""
    metadata, spec = said.get("metadata") or {}, said.get("spec") or {}
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    owner, uid, version = labels.get(OWNER), metadata.get("uid"), metadata.get("resourceVersion")
    if not (isinstance(owner, str) and owner and isinstance(uid, str) and isinstance(version, str)):
        raise ValueError(f"label {OWNER} is {excerpt(owner)}, and should say whose claim this is; delete it")
    term, holder = spec.get("leaseTransitions"), spec.get("holderIdentity")
    claim = Claim(
        owner,
        holder if isinstance(holder, str) else "",
        term if type(term) is int and term >= 0 else 0,
        _seconds(spec.get("renewTime")),
        annotations.get(TOMBSTONE) == "true",
        Revision(uid, version),
    )
    target = labels.get(TARGET, "")
    return KubeClaim(key_of(said), target if isinstance(target, str) else "", claim)


def name(owner: str, target: Target) -> str:
    """The Lease's name; two owners never have the same."""
    digest = blake2b(f"{owner}\n{target}".encode(), digest_size=4).hexdigest()
    return f"{MANAGER}-claim-{names.normalised(owner)}-{digest}"


def body(claim: Claim, target: Target, namespace: str, replaces: Revision | None) -> dict[str, Any]:
    """The Lease that says so, as the API takes it.

    Where it replaces one it names that one's uid: by its version alone a Lease that is gone would be made anew.
    """
    labels = {CLAIM: "true", OWNER: claim.owner}
    if target:
        labels[TARGET] = target
    annotations = {FORMAT: str(FORMAT_NOW)}
    if claim.tombstone:
        annotations[TOMBSTONE] = "true"
    metadata: dict[str, Any] = {
        "name": name(claim.owner, target),
        "namespace": namespace,
        "labels": labels,
        "annotations": annotations,
    }
    if replaces is not None:
        metadata |= {"uid": replaces.uid, "resourceVersion": replaces.version}
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": metadata,
        "spec": {
            "holderIdentity": claim.deployment,
            "leaseTransitions": claim.term,
            "renewTime": _time(claim.beat),
            "leaseDurationSeconds": SECONDS,
        },
    }


def of_target(standing: Iterable[KubeClaim], target: Target) -> tuple[Claim, ...]:
    """The claims of everybody's target of this name, sorted by owner and deployment."""
    found = [one.claim for one in standing if one.target == target]
    return tuple(sorted(found, key=lambda one: (one.owner, one.deployment, one.term)))


def of_others(
    standing: Iterable[KubeClaim], ours: Collection[str], targets: Collection[str]
) -> tuple[tuple[str, Claim], ...]:
    """The claims of others that are of none of our targets, each with what it is called, by which they are sorted."""
    found = [one for one in standing if one.target not in targets and one.claim.owner not in ours]
    return tuple(sorted(((f"lease {one.key}", one.claim) for one in found), key=lambda one: one[0]))


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _seconds(said: Any) -> float:
    """Since the epoch, 0 where it is no time."""
    try:
        return datetime.fromisoformat(said).timestamp()
    except (ValueError, TypeError, OverflowError):
        return 0.0
