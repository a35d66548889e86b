"""What is a list of an API server and what is none; what a mirror makes of events."""

import json
from typing import Any

import pytest

from adapters.kubernetes import mirror as mirrors
from adapters.kubernetes.client import Expired
from adapters.kubernetes.mirror import Broken, Mirror
from adapters.kubernetes.objects import Key, KubeService, service_of
from adapters.kubernetes.page import Page
from tests import kube

WEB = Key("shop", "web")


def mirror() -> Mirror[KubeService]:
    return Mirror(service_of, lambda namespace: namespace != "kube-system")


def listed(*keys: str, version: str = "10", following: str = "") -> str:
    metadata = {"resourceVersion": version, **({"continue": following} if following else {})}
    return json.dumps({"kind": "ServiceList", "metadata": metadata, "items": [kube.service(key) for key in keys]})


def event(kind: str, said: dict[str, Any], version: str) -> bytes:
    said = {**said, "metadata": {**said.get("metadata", {}), "resourceVersion": version}}
    return json.dumps({"type": kind, "object": said}).encode()


def filled(*keys: str, version: str = "10") -> Mirror[KubeService]:
    made = mirror()
    listing = made.listing()
    for _ in listing.page(listed(*keys, version=version)):
        pass
    made.take(listing)
    return made


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ('{"metadata": {"resourceVersion": "7"}, "items": [1, {"a": [2]}]}', [1, {"a": [2]}]),
        ('{"items": [1], "metadata": {"resourceVersion": "7", "continue": ""}, "kind": "List"}', [1]),
        (' {\n "metadata" : {"resourceVersion":"7"} ,\t"items" : [ 1 , 2 ] } \n', [1, 2]),
        ('{"metadata": {"resourceVersion": "7"}, "items": null}', []),
        ('{"metadata": {"resourceVersion": "7"}, "items": []}', []),
    ],
)
def test_a_list_is_read_in_whatever_order_it_comes(text: str, items: list[Any]) -> None:
    page = Page(text)
    assert list(page.objects()) == items
    assert (page.version, page.following) == ("7", "")


@pytest.mark.promise("R-14")
@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"items": []}',
        '{"metadata": {"resourceVersion": "7"}}',
        '{"metadata": {"resourceVersion": "7"}, "items": {}}',
        '{"metadata": {"resourceVersion": "7"}, "items": [1',
        '{"metadata": {"resourceVersion": "7"}, "items": [1]',
        '{"metadata": {"resourceVersion": "7"}, "items": [1 2]}',
        '{"metadata": {"resourceVersion": "7"}, "items": []} and more',
    ],
)
def test_what_is_no_whole_list_is_none(text: str) -> None:
    with pytest.raises(ValueError):
        list(Page(text).objects())


@pytest.mark.promise("R-14")
def test_a_list_that_comes_to_no_end_is_refused() -> None:
    listing = mirror().listing()
    for _ in listing.page(listed("shop/a", following="again")):
        pass
    with pytest.raises(ValueError, match="comes to no end"):
        for _ in listing.page(listed("shop/b", following="again")):
            pass


@pytest.mark.promise("S-06")
def test_a_list_beyond_all_bounds_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirrors, "MOST", 2)
    listing = mirror().listing()
    with pytest.raises(ValueError, match="more than 2 objects; name fewer namespaces"):
        for _ in listing.page(listed("shop/a", "shop/b", "shop/c")):
            pass


def test_a_list_replaces_what_stood_there_and_says_what_changed() -> None:
    made = filled("shop/web", "shop/api")
    stood = made.objects
    listing = made.listing()
    for _ in listing.page(listed("shop/web", "shop/jobs", "kube-system/dns", version="12")):
        pass
    assert made.objects == stood, "until it is taken"
    changes = made.take(listing)
    assert set(changes) == {Key("shop", "api"), Key("shop", "jobs")}
    assert changes[Key("shop", "api")] == (stood[Key("shop", "api")], None)
    assert made.objects[WEB] is stood[WEB], "what is equal is the same object"
    assert made.version == "12"


def test_an_object_that_cannot_be_understood_stands_broken_until_it_is_mended() -> None:
    made = filled("shop/web")
    bad = {**kube.service("shop/web"), "spec": {"ports": "eighty"}}
    [(before, after)] = made.event(event("MODIFIED", bad, "11")).values()
    assert isinstance(before, KubeService)
    assert isinstance(after, Broken)
    assert "ports" in after.why
    assert not made.objects
    [(before, after)] = made.event(event("MODIFIED", kube.service("shop/web"), "12")).values()
    assert isinstance(before, Broken)
    assert isinstance(after, KubeService)


def test_events_move_on_where_a_watch_would_go_on() -> None:
    made = filled("shop/web")
    assert not made.event(event("BOOKMARK", {}, "20"))
    assert made.version == "20"
    assert made.event(event("DELETED", kube.service("shop/web"), "21")) != {}
    assert made.version == "21"
    assert not made.event(event("DELETED", kube.service("shop/web"), "22")), "it was gone already"


@pytest.mark.promise("R-35")
def test_an_event_of_the_past_asks_for_a_list() -> None:
    made = filled("shop/web", version="100")
    with pytest.raises(Expired, match="a past that is behind us"):
        made.event(event("MODIFIED", kube.service("shop/web"), "99"))


@pytest.mark.promise("R-35")
@pytest.mark.parametrize(("version", "restored"), [("99", True), ("100", False), ("101", False), ("1e2", False)])
def test_a_list_older_than_what_was_said_is_known(version: str, restored: bool) -> None:
    made = filled("shop/web", version="100")
    listing = made.listing()
    for _ in listing.page(listed("shop/web", version=version)):
        pass
    assert made.restored(listing) is restored
