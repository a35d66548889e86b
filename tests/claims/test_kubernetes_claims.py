"""Claims as Leases, and notes as Events."""

from typing import Any

import pytest

from adapters.kubernetes import claims, notes
from adapters.kubernetes.claims import KubeClaim, body, claim_of, name, of_others, of_target
from adapters.kubernetes.objects import Key
from adapters.kubernetes.slices import Revision
from bridge.adapter import Claim, Note, Target
from bridge.kit.mark import Mark
from bridge.model import ServiceName

CLAIM = Claim("prod", "cluster-a", 7, 1_750_000_000.25)
ONLY = Target("")
SEEN = Revision("u1", "12")


def stored(claim: Claim, target: Target = ONLY) -> dict[str, Any]:
    """The Lease as the API server would say it."""
    made = body(claim, target, "bridge", None)
    return {**made, "metadata": {**made["metadata"], "uid": SEEN.uid, "resourceVersion": SEEN.version}}


@pytest.mark.parametrize("tombstone", [False, True])
def test_a_claim_reads_back_as_it_was_written(tombstone: bool) -> None:
    claim = Claim("prod", "cluster-a", 7, 1_750_000_000.25, tombstone)
    read = claim_of(stored(claim, Target("vms")))
    assert read == KubeClaim(
        Key("bridge", name("prod", Target("vms"))), "vms", Claim("prod", "cluster-a", 7, claim.beat, tombstone, SEEN)
    )


def test_a_claim_is_a_lease_that_people_can_read() -> None:
    made = body(CLAIM, ONLY, "bridge", SEEN)
    assert made["metadata"]["name"].startswith("registry-bridge-claim-prod-")
    assert made["metadata"]["uid"] == "u1"
    assert made["metadata"]["resourceVersion"] == "12"
    assert made["spec"] == {
        "holderIdentity": "cluster-a",
        "leaseTransitions": 7,
        "renewTime": "2025-06-15T15:06:40.250000Z",
        "leaseDurationSeconds": 60,
    }


def test_two_owners_and_two_targets_have_leases_of_their_own() -> None:
    found = {name(owner, Target(target)) for owner in ("a.b", "a-b", "A-b", "a_b") for target in ("", "vms")}
    assert len(found) == 8
    assert all(len(one) <= 253 for one in found)


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"leaseTransitions": -1, "renewTime": "yesterday"},
        {"holderIdentity": None, "leaseTransitions": "7", "renewTime": 7},
        {"leaseTransitions": True, "renewTime": "9999-99-99"},
    ],
)
def test_a_claim_that_was_edited_counts_as_far_as_it_can_be_read(spec: dict[str, Any]) -> None:
    assert claim_of({**stored(CLAIM), "spec": spec}).claim == Claim("prod", "", 0, 0.0, False, SEEN)


@pytest.mark.parametrize("labels", [None, {}, {"registry-bridge.dev/owner": ""}, {"registry-bridge.dev/owner": 7}])
def test_a_lease_of_nobody_is_no_claim(labels: Any) -> None:
    said = stored(CLAIM)
    said["metadata"]["labels"] = labels
    with pytest.raises(ValueError, match="delete it"):
        claim_of(said)


def test_the_claims_of_a_target_are_those_of_its_name_and_others_are_told_apart() -> None:
    mark = Mark("prod", "cluster-a", ("old",))

    def kube(owner: str, target: str, term: int) -> KubeClaim:
        return KubeClaim(Key("bridge", f"{owner}-{target}"), target, Claim(owner, "d", term, 0.0))

    standing = [kube("prod", "", 1), kube("prod", "vms", 2), kube("old", "", 3), kube("old", "vms", 4),
                kube("east", "vms", 5), kube("east", "", 6), kube("east", "b", 7)]  # fmt: skip
    assert [one.term for one in of_target(standing, ONLY)] == [6, 3, 1]
    assert [one.term for one in of_target(standing, Target("vms"))] == [5, 4, 2]
    found = of_others(standing, (mark.owner, *mark.former), [""])
    assert [(of, one.term) for of, one in found] == [("lease bridge/east-b", 7), ("lease bridge/east-vms", 5)]


NOTE = Note(ServiceName("shop", "payments"), "taken", "endpointslice/shop/x: belongs to y")


def test_a_note_is_an_event_on_the_service() -> None:
    made = notes.body(NOTE, "1a2b3c4d", "u7", 1_750_000_000.0)
    assert made["metadata"] == {"name": "payments.taken.1a2b3c4d", "namespace": "shop"}
    assert made["involvedObject"] == {
        "apiVersion": "v1", "kind": "Service", "namespace": "shop", "name": "payments", "uid": "u7",
    }  # fmt: skip
    assert (made["type"], made["reason"], made["message"], made["count"]) == ("Warning", "NameTaken", NOTE.text, 1)
    assert made["firstTimestamp"] == made["lastTimestamp"] == "2025-06-15T15:06:40Z"


def test_a_note_that_stands_there_is_counted_on() -> None:
    assert notes.again(NOTE, 1_750_000_000.0, 3) == {
        "message": NOTE.text, "lastTimestamp": "2025-06-15T15:06:40Z", "count": 3,
    }  # fmt: skip
    assert "count" not in notes.again(NOTE, 0.0, None)


def test_a_note_is_as_long_as_an_event_may_be() -> None:
    long = notes.message(Note(NOTE.service, "parked", "x" * 5_000))
    assert len(long) == notes.LONGEST
    assert long.endswith("x…")


def test_a_beat_keeps_its_microseconds() -> None:
    for beat in (0.0, 1_750_000_030.25, 1_750_000_000.999999):
        again = claim_of(stored(Claim("prod", "d", 1, beat))).claim.beat
        assert abs(again - beat) < 1e-5
    assert claims.SECONDS == 60
