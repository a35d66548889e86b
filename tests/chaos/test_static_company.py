"""A file that a bridge writes, and all the others who edit, write and read it."""

import asyncio
import json
import subprocess
from pathlib import Path

import pytest

from adapters.static.registry import Static
from adapters.static.settings import Settings
from bridge.adapter import Claim, Holding, Put, Remove, Target
from bridge.errors import Conflict, Rejected, Unavailable
from bridge.kit import Kit
from bridge.model import Service
from bridge.runtime.clock import SystemClock
from tests.builders import endpoint, service
from tests.chaos.test_static_files import put
from tests.observed import as_written
from tests.written import CART, MARK, MORE, OTHER, PAYMENTS, every, writing

pytestmark = pytest.mark.usefixtures("unprivileged")


# Edits, and others who write


@pytest.mark.promise("R-17", "law-6")
@every
async def test_an_edit_inside_our_block_is_seen_and_put_right(tmp_path: Path, file: str, form: str) -> None:
    path = tmp_path / file
    async with writing(path, form) as one:
        await one.say(PAYMENTS)
        await one.say(CART)
        unseen = one.change(MORE)
        put(path, path.read_text().replace("10.0.0.2", "10.0.9.9"))
        with pytest.raises(Conflict, match="another block stands there"):
            await one.sink.apply(one.target, unseen)
        await one.until(lambda: "10.0.9.9:8080" in one.said("shop/payments"))
        assert one.said("shop/cart") == ["10.0.1.1:80"]
        await one.say(PAYMENTS)
    assert "10.0.9.9" not in path.read_text()


@pytest.mark.promise("R-17", "law-9")
@every
async def test_an_edit_that_breaks_the_file_is_put_right(tmp_path: Path, file: str, form: str) -> None:
    path = tmp_path / file
    async with writing(path, form) as one:
        await one.say(CART)
        await one.say(PAYMENTS)
        right = path.read_text()
        put(path, right.replace("10.0.0.2", '"{ \xff \n - ]'))
        await one.until(lambda: not one.said("shop/payments"))
        assert "drift" in {problem.kind for problem in one.seen[-1].problems}
        assert one.said("shop/cart") == ["10.0.1.1:80"]
        await one.say(PAYMENTS)
        assert "drift" not in {problem.kind for problem in one.seen[-1].problems}
    assert path.read_text() == right


@pytest.mark.promise("R-17")
async def test_a_file_that_is_deleted_by_hand_is_written_again(tmp_path: Path) -> None:
    path = tmp_path / "vms.yaml"
    async with writing(path) as one:
        await one.say(PAYMENTS)
        path.unlink()
        await one.until(lambda: one.held is not None and not one.held.holdings)
        await one.say(PAYMENTS)


@every
async def test_a_file_whose_format_was_changed_is_written_anew(tmp_path: Path, file: str, form: str) -> None:
    path = tmp_path / file
    async with writing(path, "csv" if form != "csv" else "hosts") as before:
        await before.say(PAYMENTS)
        await before.say(CART)
    async with writing(path, form) as one:
        assert one.said("shop/payments") == ["10.0.0.1:8080", "10.0.0.2:8080"]
        await one.say(MORE)
        await one.until(lambda: one.said("shop/cart") == ["10.0.1.1:80"])
        assert len(one.said("shop/payments")) == 3
        standing = one.change(CART)
        assert standing.replaces is not None
        assert standing.replaces.content == standing.record.content


@pytest.mark.promise("law-6")
async def test_of_two_who_write_one_service_at_once_one_succeeds(tmp_path: Path) -> None:
    path = tmp_path / "vms.yaml"
    async with writing(path) as one, writing(path) as other:
        for _ in range(20):
            results = await asyncio.gather(
                *(
                    each.sink.apply(each.target, Put(each.change(said).record))
                    for each, said in ((one, PAYMENTS), (other, MORE))
                ),
                return_exceptions=True,
            )
            assert sum(result is None for result in results) == 1, results
            assert {type(result) for result in results} <= {type(None), Conflict, Unavailable}
            await one.until(lambda: bool(one.said("shop/payments")))
            await other.until(lambda: other.record("shop/payments") == one.record("shop/payments"))
            there = one.record("shop/payments")
            assert there is not None
            await one.sink.apply(one.target, Remove(there))
            await one.until(lambda: not one.said("shop/payments"))
            await other.until(lambda: not other.said("shop/payments"))


async def test_two_services_that_come_to_one_host_name_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    said = {
        "name": "vms",
        "kind": "static",
        "export": [{"file": str(path), "format": "hosts", "services": ["*"], "from": ["k8s"], "host": "{name}"}],
    }
    sink = Settings.model_validate(said).open(Kit("vms", SystemClock(), MARK))
    assert isinstance(sink, Static)
    target = Target(str(path))
    puts = [
        Put(sink.fit(target, service(key, "10.0.0.1:80"), Holding())[0][0])
        for key in ("shop/payments", "data/payments")
    ]
    first, second = await asyncio.gather(*(sink.apply(target, each) for each in puts), return_exceptions=True)
    assert second is None
    assert isinstance(first, Rejected)
    assert str(first) == (
        f"{path}: shop/payments: 'payments' stands there for data/payments already; "
        "write {namespace} into `host:`, or leave one of them out of `services:`"
    )


# Who reads


@every
async def test_our_own_file_never_comes_back_as_services(tmp_path: Path, file: str, form: str) -> None:
    path = tmp_path / file
    put(tmp_path / "other", "services: []\n")
    async with writing(path, form, files=[str(path), str(tmp_path / "*")]) as one:
        await one.say(PAYMENTS)
        assert len(one.seen[-1].services) == 0
    async with writing(None, files=[str(path)]) as reader:
        assert len(reader.seen[-1].services) == 0


@every
async def test_another_bridges_file_comes_via_that_bridge(tmp_path: Path, file: str, form: str) -> None:
    path = tmp_path / file
    put(tmp_path / "other", "services: []\n")
    async with writing(path, form) as one, writing(None, mark=OTHER, files=[str(tmp_path / "*")]) as reader:
        await one.say(PAYMENTS)
        await reader.until(lambda: bool(reader.endpoints("shop/payments")))
        assert [(str(each.id), each.via) for each in reader.endpoints("shop/payments")] == [
            ("10.0.0.1:8080", "prod-eu1"),
            ("10.0.0.2:8080", "prod-eu1"),
        ]
        await one.say(MORE)
        await reader.until(lambda: len(reader.endpoints("shop/payments")) == 3)
        for beat in (1000.0, 1030.0):  # its heartbeat is seen as well: whose stands still for a day is no more
            standing = one.claims[0].revision if one.claims else None
            await one.sink.claim(one.target, Claim("prod-eu1", "a", 1, beat, False, standing))
            await reader.until(lambda beat=beat: [each.beat for _, each in reader.now.others] == [beat])
            await one.until(lambda beat=beat: [each.beat for each in one.claims] == [beat])


@every
async def test_what_came_through_us_once_ends_here(tmp_path: Path, file: str, form: str) -> None:
    path = tmp_path / file
    relayed = Service.of(
        PAYMENTS.name, [endpoint("10.0.0.1:80", via="prod-us1 far"), endpoint("10.0.0.2:80", via="far")]
    )
    async with writing(path, form) as one:
        await one.say(relayed)
    async with writing(None, mark=OTHER, files=[str(path)]) as reader:
        said = reader.seen[-1].services[PAYMENTS.name]
        assert [(str(each.id), each.via) for each in said.endpoints] == [("10.0.0.2:80", "far prod-eu1")]


async def test_half_of_another_bridges_file_is_no_view(tmp_path: Path) -> None:
    path = tmp_path / "vms.yaml"
    async with writing(path) as one:
        await one.say(PAYMENTS)
    text = path.read_text()
    async with writing(None, mark=OTHER, files=[str(path)]) as reader:
        put(path, text.partition("# end")[0])
        await reader.until(lambda: "is the file half written?" in reader.problems)
        assert len(reader.seen[-1].services[PAYMENTS.name].endpoints) == 2


async def test_prometheus_has_targets_and_labels_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "bridge.json"
    async with writing(path, "file_sd") as one:
        await one.say(PAYMENTS)
    groups = json.loads(path.read_text())
    assert [group["targets"] for group in groups] == [[], ["10.0.0.1:8080", "10.0.0.2:8080"]]
    assert all(group.keys() == {"targets", "labels"} for group in groups)


# A lookup in files needs /etc/hosts; the namespace of mounts that it is changed in ends with the command.
LOOKUP = 'mount --bind "$1" /etc/hosts && getent ahostsv4 "$2"'


def may_mount() -> bool:
    try:
        return subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not may_mount(), reason="the kernel lets this user bind no file over /etc/hosts")
async def test_getent_finds_the_names_of_a_hosts_file(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    async with writing(path, "hosts") as one:
        await one.say(PAYMENTS)
    command = ["unshare", "-m", "sh", "-c", LOOKUP, "sh", str(path), "payments.shop"]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    assert {line.split()[0] for line in found.stdout.splitlines()} == {"10.0.0.1", "10.0.0.2"}


# Claims


@pytest.mark.promise("law-6")
async def test_a_claim_is_written_beside_the_file_which_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "vms.yaml"
    async with writing(path) as one:
        await one.say(PAYMENTS)
        before = as_written(path)
        await one.sink.claim(one.target, Claim("prod-eu1", "cluster-a", 1, 1000.0))
        await one.until(lambda: bool(one.claims))
        (standing,) = one.claims
        assert (standing.owner, standing.deployment, standing.term, standing.beat) == (
            "prod-eu1",
            "cluster-a",
            1,
            1000.0,
        )
        with pytest.raises(Conflict):
            await one.sink.claim(one.target, Claim("prod-eu1", "cluster-a", 2, 1030.0))
        await one.sink.claim(one.target, Claim("prod-eu1", "cluster-a", 2, 1030.0, True, standing.revision))
        await one.until(lambda: [each.tombstone for each in one.claims] == [True])
        assert as_written(path) == before


async def test_claims_of_several_owners_stand_side_by_side(tmp_path: Path) -> None:
    async with writing(tmp_path / "vms.yaml") as one:
        await one.sink.claim(one.target, Claim("prod-us1", "b", 7, 1000.0))
        await one.sink.claim(one.target, Claim("prod-eu1", "a", 1, 1000.0))
        await one.until(lambda: len(one.claims) == 2)
        assert [(each.owner, each.term) for each in one.claims] == [("prod-eu1", 1), ("prod-us1", 7)]


@pytest.mark.promise("law-6")
async def test_who_was_succeeded_writes_no_more(tmp_path: Path) -> None:
    path = tmp_path / "vms.yaml"
    async with writing(path) as old, writing(path) as new:
        await old.sink.claim(old.target, Claim("prod-eu1", "a", 1, 1000.0))
        await new.until(lambda: bool(new.claims))
        await new.sink.claim(new.target, Claim("prod-eu1", "a", 2, 1001.0, False, new.claims[0].revision))
        with pytest.raises(Conflict, match="is claimed by deployment a in term 2"):
            await old.sink.apply(old.target, Put(old.change(PAYMENTS).record))
        await new.say(PAYMENTS)


async def test_claims_that_cannot_be_read_are_told_and_written_anew(tmp_path: Path) -> None:
    path = tmp_path / "vms.yaml"
    (tmp_path / ".vms.yaml.claim").write_text("{]")
    async with writing(path) as one:
        assert "holds no claims of bridges" in one.problems
        await one.say(PAYMENTS)
        await one.sink.claim(one.target, Claim("prod-eu1", "a", 1, 1000.0))
        await one.until(lambda: not one.problems)
