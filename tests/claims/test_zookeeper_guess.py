"""Which dialect a few children of a service look like."""

import base64

import pytest

from adapters.zookeeper.dialects.dialect import Child
from adapters.zookeeper.dialects.guess import Guess, guess, suits
from adapters.zookeeper.dialects.known import NAMES, Options, dialect
from tests.builders import endpoint
from tests.claims.znodes import child, fitted, made, said
from tests.claims.zookeeper_records import CURATOR, KAFKA, NERVE, NERVE_OLD, OF_DUBBO, OF_SPRING, SERVERSET

MEMBER = "0123456789abcdef0123456789abcdef"
_TEXT = base64.urlsafe_b64encode(NERVE.encode()).decode()
ENCODED = f"base64_{len(_TEXT)}_{_TEXT}_0000000001"


@pytest.mark.parametrize(
    ("children", "name"),
    [
        ([child("id-1", CURATOR)], "curator"),
        ([child("id-1", CURATOR), child("id-2", OF_SPRING)], "spring"),
        ([child("10.0.0.1:20880", OF_DUBBO)], "dubbo-app"),
        ([child("member_0000000001", SERVERSET), child("vector_0000000001", '{"vector":[]}')], "serverset"),
        ([child("i-1_0000000001", NERVE)], "nerve"),
        ([child(ENCODED)], "nerve"),
        ([child("providers"), child("consumers"), child("configurators"), child("routers")], "dubbo"),
        ([child("10.0.0.1:8080")], "plain"),
        ([child("10.0.0.1:8080", '{"host":"10.0.0.1","port":8080}')], "plain"),
        ([child("s1", "10.0.0.1:8080")], "plain"),
        ([child(f"{MEMBER}__party__", "10.0.0.1:8080")], "party"),
        ([child(f"{MEMBER}-10.0.0.1:8080")], "kingpin"),
        ([child("10.0.0.1:8983_solr")], "solr"),
        ([child("1", KAFKA)], "kafka"),
    ],
)
def test_a_few_children_say_which_dialect_they_are(children: list[Child], name: str) -> None:
    first, *_ = guess([*children, child("junk", b"\xff"), child("other", "")])
    assert first.dialect == name
    if name != "dubbo":
        assert said(dialect(first.dialect, Options()), *children)


def test_where_several_dialects_stand_together_all_are_told() -> None:
    them = [child("a", NERVE), child("b", NERVE_OLD), child("member_1", SERVERSET)]
    assert guess(them) == (Guess("nerve", 2), Guess("serverset", 1))
    assert guess([child("junk", b"\xff")]) == ()


def test_instances_without_a_payload_are_what_the_configuration_says_they_are() -> None:
    bare = [child("a", CURATOR), child("b", CURATOR)]
    assert guess(bare) == guess(bare, "nerve") == (Guess("curator", 2),)
    assert guess(bare, "spring") == (Guess("spring", 2),)
    of_another = child("c", CURATOR.replace('"payload":null', '"payload":{"@class":"com.ex.Own"}'))
    assert guess([*bare, of_another], "spring") == (Guess("curator", 3),), "a reader of Spring's would throw on it"


def test_spring_and_dubbo_share_a_root_and_each_is_judged_by_its_own() -> None:
    both = guess([child("a", OF_DUBBO), child("b", OF_DUBBO), child("c", OF_SPRING)])
    assert suits("spring", both)
    assert suits("dubbo-app", both)
    assert not suits("curator", both)
    assert not suits("spring", guess([child("a", OF_DUBBO)]))
    assert not suits("nerve", guess([child("a", NERVE), child("member_1", SERVERSET), child("member_2", SERVERSET)]))


def test_what_every_dialect_writes_is_guessed_to_be_it() -> None:
    for name in NAMES:
        if name in ("kafka", "solr"):
            continue
        written = dialect(name, Options(interfaces=("com.ex.Foo",)))
        nodes = made(written, fitted(written, endpoint("10.0.0.1:8080"))[0])
        assert guess([child("providers")] if name == "dubbo" else nodes)[0].dialect == name
