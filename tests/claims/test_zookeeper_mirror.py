"""What is asked of a ZooKeeper, and what is known after its answers."""

from collections.abc import Sequence

import pytest

from adapters.zookeeper.dialects.curator import Curator
from adapters.zookeeper.dialects.dialect import Dialect, PortNames, Spelled
from adapters.zookeeper.dialects.dubbo import Dubbo
from adapters.zookeeper.dialects.nerve import Nerve
from adapters.zookeeper.dialects.serverset import ServerSet
from adapters.zookeeper.dialects.words import MAX_DATA
from adapters.zookeeper.documents import Documents
from adapters.zookeeper.members import OF_ANOTHER
from adapters.zookeeper.mirror import JAVA_LIMIT, Mirror
from adapters.zookeeper.operations import NO_AUTH, NO_NODE, Children, Get
from adapters.zookeeper.paths import Mapped, Tree
from adapters.zookeeper.whole import Trees, Whole
from bridge.adapter import Target
from bridge.kit.mark import Mark
from bridge.model import NOWHERE, Locality
from tests.builders import endpoint, name
from tests.claims.znodes import fitted, made
from tests.servers.zookeeper.records import curator
from tests.znodes import Znodes

SERVICES = Tree.of("/services/{name}", Mapped("shop"))
HTTP = PortNames("http")
ALL = Target("/services/{name}")


def mirror(tree: Tree = SERVICES, dialect: Dialect | None = None) -> Mirror:
    made = Mirror(tree, dialect or Curator(HTTP))
    made.again()
    return made


def children(of: Mirror, path: str) -> list[str]:
    return sorted(str(key) for key in of.nodes[path].children)


class Seen:
    """Mirrors of one server, and the services that they come to; with documents, those beside each of them."""

    def __init__(
        self,
        znodes: Znodes,
        *mirrors: Mirror,
        mark: Mark | None = None,
        place: Locality = NOWHERE,
        documents: Documents | None = None,
    ) -> None:
        self.znodes = znodes
        beside = {} if documents is None else dict.fromkeys(range(len(mirrors)), documents)
        self.mirrors = (*mirrors, *(one.mirror for one in set(beside.values())))
        self.whole = Whole(Trees(mirrors, place, "", mark, beside), {})

    def look(self) -> dict[str, list[str]]:
        """Every service, and its endpoints."""
        self.znodes.follow(self.mirrors)
        for _ in self.whole.updates():
            pass
        return {str(service): [str(one.id) for one in said.endpoints] for service, said in self.whole.services.items()}

    @property
    def problems(self) -> list[str]:
        return [str(one) for one in self.whole.problems()]


def say(znodes: Znodes, *where: str, at: str = "/services/web") -> None:
    for one in where:
        znodes.make(f"{at}/{one}", curator(one))


def asked(znodes: Znodes) -> Sequence[object]:
    """What was asked since this was last looked at."""
    made = list(znodes.asked)
    znodes.asked.clear()
    return made


def test_everything_is_read_once_and_then_only_what_changed() -> None:
    znodes = Znodes()
    say(znodes, "10.0.0.1:80", "10.0.0.2:80")
    say(znodes, "10.0.1.1:80", at="/services/api")
    seen = Seen(znodes, mirror())
    assert seen.look() == {"shop/web": ["10.0.0.1:80", "10.0.0.2:80"], "shop/api": ["10.0.1.1:80"]}
    asked(znodes)
    say(znodes, "10.0.0.3:80")
    assert seen.look()["shop/web"] == ["10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"]
    assert asked(znodes) == [
        Children("/services/web", watch=True), Get("/services/web/10.0.0.3:80", watch=True)
    ]  # fmt: skip
    znodes.write("/services/web/10.0.0.3:80", curator("10.0.0.9:80"))
    assert seen.look()["shop/web"] == ["10.0.0.1:80", "10.0.0.2:80", "10.0.0.9:80"]
    assert asked(znodes) == [Get("/services/web/10.0.0.3:80", watch=True)]
    znodes.remove("/services/web/10.0.0.1:80")
    assert seen.look()["shop/web"] == ["10.0.0.2:80", "10.0.0.9:80"]
    znodes.remove("/services/api")
    assert seen.look() == {"shop/web": ["10.0.0.2:80", "10.0.0.9:80"]}
    assert seen.mirrors[0].parts == 2


def test_what_did_not_change_is_the_same_object() -> None:
    znodes = Znodes()
    say(znodes, "10.0.0.1:80")
    say(znodes, "10.0.1.1:80", at="/services/api")
    seen = Seen(znodes, mirror())
    seen.look()
    before = seen.whole.services
    seen.mirrors[0].again()
    seen.look()
    assert seen.whole.services is before
    say(znodes, "10.0.1.2:80", at="/services/api")
    seen.look()
    assert seen.whole.services[name("shop/web")] is before[name("shop/web")]


def test_levels_that_lead_to_no_service_are_not_entered() -> None:
    tree = Tree.of(
        "/twitter/service/{role}/{env}/{name}",
        Mapped("{role}", namespaces=frozenset({"shop"}), where={"env": frozenset({"prod"})}),
    )
    znodes = Znodes()
    for path in ("shop/prod/web", "shop/test/web", "admin/prod/web"):
        say(znodes, "10.0.0.1:80", at=f"/twitter/service/{path}")
    seen = Seen(znodes, mirror(tree))
    assert seen.look() == {"shop/web": ["10.0.0.1:80"]}
    assert not [one for one in asked(znodes) if "/test" in str(one) or "admin/prod/web" in str(one)]
    znodes.remove("/twitter/service/shop")
    assert seen.look() == {}
    say(znodes, "10.0.0.2:80", at="/twitter/service/shop/prod/web")
    assert seen.look() == {"shop/web": ["10.0.0.2:80"]}


def test_a_tree_whose_path_is_one_service() -> None:
    tree = Tree.of("/live", Mapped("shop", name="search"))
    znodes = Znodes()
    say(znodes, "10.0.0.1:80", at="/live")
    seen = Seen(znodes, mirror(tree))
    assert seen.look() == {"shop/search": ["10.0.0.1:80"]}
    znodes.remove("/live")
    assert seen.look() == {"shop/search": ["10.0.0.1:80"]}
    assert seen.mirrors[0].failures["/live"].word == NO_NODE


def test_a_root_that_is_gone_is_unknown_and_not_empty_and_that_it_is_back_is_told() -> None:
    znodes = Znodes()
    say(znodes, "10.0.0.1:80")
    seen = Seen(znodes, mirror())
    seen.look()
    znodes.remove("/services")
    assert seen.look() == {"shop/web": ["10.0.0.1:80"]}
    failure = seen.mirrors[0].failures["/services"]
    assert (failure.word, failure.never) == (NO_NODE, False)
    say(znodes, "10.0.0.2:80")
    assert seen.look() == {"shop/web": ["10.0.0.2:80"]}
    assert not seen.mirrors[0].failures


def test_a_root_that_never_was_is_told_as_never_read() -> None:
    znodes = Znodes()
    seen = Seen(znodes, mirror())
    assert seen.look() == {}
    assert seen.mirrors[0].failures["/services"].never


def test_a_root_that_we_make_is_empty_where_it_is_not_there() -> None:
    znodes = Znodes()
    made = Mirror(SERVICES, Curator(HTTP), founded=True)
    made.again()
    seen = Seen(znodes, made)
    assert seen.look() == {}
    say(znodes, "10.0.0.1:80")
    assert seen.look() == {"shop/web": ["10.0.0.1:80"]}
    znodes.remove("/services")
    assert seen.look() == {}
    assert not made.failures


def test_where_we_write_a_root_that_is_gone_is_empty_and_what_hands_do_is_watched() -> None:
    znodes = Znodes()
    znodes.make("/services/web/i_0000000001", b'{"host":"10.0.0.1","port":80}')
    made = Mirror(SERVICES, Nerve(HTTP), ours=True)
    made.again()
    znodes.follow([made])
    assert Get("/services/web/i_0000000001", watch=True) in asked(znodes)
    znodes.remove("/services")
    znodes.follow([made])
    assert not made.nodes
    assert not made.failures


def test_what_may_not_be_read_stands_and_is_tried_again() -> None:
    znodes = Znodes()
    say(znodes, "10.0.0.1:80")
    say(znodes, "10.0.1.1:80", at="/services/api")
    seen = Seen(znodes, mirror())
    before = seen.look()
    znodes.closed |= {"/services/web", "/services/web/10.0.0.1:80"}
    seen.mirrors[0].again()
    assert seen.look() == before
    assert {path: one.word for path, one in seen.mirrors[0].failures.items()} == {
        "/services/web": NO_AUTH,
        "/services/web/10.0.0.1:80": NO_AUTH,
    }
    assert {seen.mirrors[0].part(path) for path in seen.mirrors[0].failures} == {"/services/web"}
    znodes.closed.clear()
    asked(znodes)
    seen.mirrors[0].retry()
    seen.look()
    assert not seen.mirrors[0].failures
    assert len(asked(znodes)) == 2


def test_since_when_it_fails_is_when_it_failed_first() -> None:
    znodes = Znodes()
    say(znodes, "10.0.0.1:80")
    made = mirror()
    znodes.closed.add("/services/web")
    znodes.follow([made], now=10.0)
    made.retry()
    znodes.follow([made], now=20.0)
    assert made.failures["/services/web"].since == 10.0


def test_a_node_that_is_made_again_while_it_is_asked_for_is_read() -> None:
    znodes = Znodes()
    say(znodes, "10.0.0.1:80")
    made = mirror()
    znodes.follow([made])
    path = "/services/web/10.0.0.1:80"
    znodes.remove(path)
    made.mark(path)
    made.take(Get(path, watch=True), znodes.answer(Get(path)), 0.0)
    say(znodes, "10.0.0.1:80")
    znodes.follow([made])
    (child,) = made.nodes["/services/web"].children.values()
    assert child.created == znodes.answer(Get(path)).stat.created  # type: ignore[union-attr]


def test_a_service_that_is_made_again_while_it_is_asked_for_is_read() -> None:
    znodes = Znodes()
    say(znodes, "10.0.0.1:80")
    made = mirror()
    znodes.follow([made])
    znodes.remove("/services/web")
    made.mark("/services/web")
    asking = Children("/services/web", watch=True)
    made.take(asking, znodes.answer(asking), 0.0)
    say(znodes, "10.0.0.2:80")
    znodes.follow([made])
    assert children(made, "/services/web") == ["10.0.0.2:80"]


def test_names_alone_are_read_where_they_say_all() -> None:
    znodes = Znodes()
    at = "/dubbo/com.ex.Foo"
    provider = "dubbo%3A%2F%2F10.0.0.1%3A20880%2Fcom.ex.Foo%3Finterface%3Dcom.ex.Foo"
    znodes.make(f"{at}/providers/{provider}", b"127.0.0.1")
    znodes.make(f"{at}/consumers")
    seen = Seen(znodes, mirror(Tree.of("/dubbo/{name}", Mapped("shop")), Dubbo()))
    assert seen.look() == {"shop/com-ex-foo": ["10.0.0.1:20880"]}
    assert not [one for one in asked(znodes) if isinstance(one, Get)]
    off = "override%3A%2F%2F0.0.0.0%2Fcom.ex.Foo%3Fcategory%3Dconfigurators%26disabled%3Dtrue"
    znodes.make(f"{at}/configurators/{off}")
    seen.look()
    (endpoint,) = seen.whole.services[name("shop/com-ex-foo")].endpoints
    assert endpoint.health is not None
    znodes.remove(f"{at}/configurators")
    seen.look()
    (endpoint,) = seen.whole.services[name("shop/com-ex-foo")].endpoints
    assert endpoint.health is None
    znodes.remove(f"{at}/providers")
    assert seen.look() == {}


def test_where_we_write_it_is_asked_which_session_a_name_of_ours_ends_with() -> None:
    znodes = Znodes()
    (ours,) = made(Dubbo(), fitted(Dubbo(), endpoint("10.0.0.1:20880", port="dubbo"))[0])
    znodes.make(f"/dubbo/web/providers/{ours.name}")
    znodes.make("/dubbo/web/providers/dubbo%3A%2F%2F10.0.0.2%3A20880%2Fweb")
    written = Mirror(Tree.of("/dubbo/{name}", Mapped("shop")), Dubbo(), ours=True)
    written.again()
    znodes.follow([written])
    assert [one.path for one in asked(znodes) if isinstance(one, Get)] == [f"/dubbo/web/providers/{ours.name}"]


def test_records_that_never_change_are_not_watched() -> None:
    znodes = Znodes()
    znodes.make("/services/web/i_0000000001", b'{"host":"10.0.0.1","port":80}')
    seen = Seen(znodes, mirror(dialect=Nerve(HTTP)))
    assert seen.look() == {"shop/web": ["10.0.0.1:80"]}
    assert Get("/services/web/i_0000000001", watch=False) in asked(znodes)


def test_a_list_that_clients_in_java_refuse_is_a_problem_and_read() -> None:
    znodes = Znodes()
    many = JAVA_LIMIT // 244 + 1
    for number in range(many):
        znodes.make(
            f"/services/web/{number:0240}", curator(f"10.{number // 60_000}.{number // 250 % 250}.{number % 250}:80")
        )
    seen = Seen(znodes, mirror())
    assert len(seen.look()["shop/web"]) == many
    (told,) = seen.problems
    assert told.startswith("/services/web: ")
    assert "jute.maxbuffer" in told


@pytest.mark.promise("S-06")
def test_of_what_is_longer_than_any_record_no_more_is_kept_than_shows_it() -> None:
    znodes = Znodes()
    say(znodes, "10.0.0.1:80")
    znodes.make("/services/web/large", b"[" + b"1," * 500_000 + b"1]")
    made = mirror()
    seen = Seen(znodes, made)
    assert seen.look() == {"shop/web": ["10.0.0.1:80"]}
    (told,) = seen.problems
    assert told.startswith("/services/web/large: holds more than 65,536 bytes")
    assert max(len(one.data) for one in made.nodes["/services/web"].children.values()) <= MAX_DATA + 1


def test_a_name_that_cannot_be_one_is_a_problem_until_it_is_gone() -> None:
    znodes = Znodes()
    say(znodes, "10.0.0.1:80", at="/services/..%2Fweb")
    say(znodes, "10.0.0.1:80")
    seen = Seen(znodes, mirror())
    assert seen.look() == {"shop/web": ["10.0.0.1:80"]}
    assert len(seen.problems) == 1
    znodes.remove("/services/..%2Fweb")
    seen.look()
    assert not seen.problems


def test_two_spellings_of_one_name_are_told_and_one_is_read() -> None:
    znodes = Znodes()
    say(znodes, "10.0.0.1:80", at="/services/my_web")
    say(znodes, "10.0.0.2:80", at="/services/my-web")
    seen = Seen(znodes, mirror())
    assert seen.look() == {"shop/my-web": ["10.0.0.2:80"]}
    assert len(seen.problems) == 1
    znodes.remove("/services/my-web")
    assert seen.look() == {"shop/my-web": ["10.0.0.1:80"]}
    assert not seen.problems


def test_two_trees_may_say_one_service() -> None:
    znodes = Znodes()
    say(znodes, "10.0.0.1:80")
    znodes.make("/nerve/web/i_1", b'{"host":"10.0.0.2","port":80}')
    nerve = mirror(Tree.of("/nerve/{name}", Mapped("shop")), Nerve(HTTP))
    seen = Seen(znodes, mirror(), nerve)
    assert seen.look() == {"shop/web": ["10.0.0.1:80", "10.0.0.2:80"]}
    znodes.remove("/services/web")
    assert seen.look() == {"shop/web": ["10.0.0.2:80"]}


def test_the_configuration_places_what_does_not_place_itself() -> None:
    tree = Tree.of("/services/{zone}/{name}", Mapped("shop", locality=Locality("", "{zone}", "")))
    znodes = Znodes()
    say(znodes, "10.0.0.1:80", at="/services/dc1/web")
    seen = Seen(znodes, mirror(tree), place=Locality("eu", "dc9", ""))
    seen.look()
    (endpoint,) = seen.whole.services[name("shop/web")].endpoints
    assert endpoint.locality == Locality("eu", "dc1", "")


def test_what_ends_with_another_session_than_ours_is_not_what_is_wanted() -> None:
    znodes = Znodes()
    ours = Mark("prod", "one")
    dialect = Nerve(HTTP)
    node = dialect.node(dialect.say(Spelled("web"), endpoint("10.0.0.1:80")), ours.owner)
    znodes.make(f"/services/web/{node.name}0000000001", node.data, session=7)
    made = Mirror(SERVICES, dialect, ours=True)
    made.again()
    znodes.follow([made])
    whole = Whole(Trees([], NOWHERE, "", ours), {ALL: Trees([made], NOWHERE, "", ours)}, {ALL})
    for session, ends in ((7, False), (8, True), (7, False)):
        whole.renew(session)
        for _ in whole.updates():
            pass
        (record,) = whole.holdings[ALL][name("shop/web")].records
        assert record.content.startswith(OF_ANOTHER) is ends


def test_a_tree_of_another_dialect_says_so_in_one_line_with_what_it_looks_like() -> None:
    znodes = Znodes()
    for number in (1, 2, 3):
        znodes.make(f"/services/web/10.0.0.{number}:80")
    seen = Seen(znodes, mirror())
    assert seen.look() == {}
    first, *records = seen.problems
    assert first == (
        "/services: of 3 records 3 are not understood as curator, and look like plain; see `registry-bridge check "
        "--sample`, and correct the `dialect` of the tree, or its path"
    )
    assert len(records) == 3
    say(znodes, "10.0.0.4:80", "10.0.0.5:80", "10.0.0.6:80")
    seen.look()
    assert len(seen.problems) == 3
    znodes.remove("/services/web/10.0.0.1:80")
    seen.look()
    assert len(seen.problems) == 2


def test_a_tree_none_of_whose_children_is_called_as_its_dialect_calls_them_is_not_silent() -> None:
    znodes = Znodes()
    say(znodes, "10.0.0.4:80", "10.0.0.5:80", "10.0.0.6:80")
    seen = Seen(znodes, mirror(dialect=ServerSet(HTTP)))
    assert seen.look() == {}
    (problem,) = seen.problems
    assert problem.startswith("/services: of 3 records 3 are not understood as serverset; see `registry-bridge check")
