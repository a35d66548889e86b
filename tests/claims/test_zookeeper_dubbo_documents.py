"""What Dubbo's documents say of providers, as Dubbo 3.3.2 heeds them.

Its `ConfigParser`, `AbstractConfigurator` and `Configurator` for what is applied and in which order, its
`RegistryDirectory` and `RegistryProtocol` for who applies it.
"""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.zookeeper import members
from adapters.zookeeper.dialects import dubbo_documents
from adapters.zookeeper.dialects.dialect import DOCUMENTS, Child, ChildKey, Dialect
from adapters.zookeeper.dialects.dubbo import Dubbo
from adapters.zookeeper.dialects.dubbo_app import DubboApp
from adapters.zookeeper.dialects.dubbo_documents import Document
from adapters.zookeeper.dialects.dubbo_url import encode
from adapters.zookeeper.members import Told
from bridge.model import Health
from tests.claims.znodes import SCOPE, WEB, child
from tests.claims.zookeeper_records import DUBBO_DISABLED, DUBBO_OF_APPLICATION, DUBBO_WEIGHT, OF_DUBBO

FOO = "com.ex.Foo:1.0.0:g.configurators"
SHOP = "shop.configurators"
DEFAULT = "version=1.0.0&group=g&application=shop"


def provider(host: str, params: str = DEFAULT, port: int = 20880) -> Child:
    url = f"dubbo://{host}:{port}/com.ex.Foo?interface=com.ex.Foo&{params}"
    return child(encode(url), branch="providers")


def override(params: str) -> Child:
    url = f"override://0.0.0.0/com.ex.Foo?category=configurators&version=*&group=*&{params}"
    return child(encode(url), branch="configurators")


BOTH = [provider("10.0.0.1"), provider("10.0.0.2")]


def service(*entries: str, key: str = "g/com.ex.Foo:1.0.0", more: str = "") -> Document:
    """The document of both, with these entries, each a flow mapping without its braces."""
    return read(FOO, "service", key, more, entries)


def application(*entries: str, more: str = "") -> Document:
    return read(SHOP, "application", "shop", more, entries)


def read(name: str, scope: str, key: str, more: str, entries: tuple[str, ...]) -> Document:
    configs = "".join(f"- {{{entry}}}\n" for entry in entries)
    return dubbo_documents.read(name, f"scope: {scope}\nkey: {key}\n{more}\nconfigs:\n{configs}".encode())


def tell(documents: list[Document], children: list[Child], dialect: Dialect) -> Told:
    parts = {ChildKey(DOCUMENTS, one.name): one for one in documents}
    return members.tell(dialect, members.take(dialect, children, {}), SCOPE, None, parts)


def outcome(*documents: Document, of: list[Child] = BOTH) -> list[tuple[int, bool]]:
    """Of each provider its weight, and whether it is out."""
    told = tell(list(documents), of, Dubbo())
    assert not told.problems, told.problems
    return [(one.weight, one.health is Health.DRAINING) for one in members.service(WEB, [told])[0].endpoints]


AS_IT_WAS = [(1, False), (1, False)]
FIRST_OUT = [(1, True), (1, False)]
BOTH_OUT = [(1, True), (1, True)]
FIRST_MORE = [(3, False), (1, False)]


def test_documents_are_called_after_a_service_or_an_application() -> None:
    assert dubbo_documents.of_service("com.ex.Foo", "1.0.0", "g") == FOO
    assert dubbo_documents.of_service("com.ex.Foo", "", "") == "com.ex.Foo::.configurators"
    assert dubbo_documents.of_service("com.ex.Foo", "", "g") == "com.ex.Foo::g.configurators"
    assert dubbo_documents.of_application("shop") == SHOP
    said = [provider("10.0.0.1"), provider("10.0.0.2", "application=other"), provider("10.0.0.3", "group=a")]
    parts = [member.part for member in members.take(Dubbo(), said, {}).values()]
    assert Dubbo().heeds("com.ex.Foo", parts) == {
        FOO, SHOP, "com.ex.Foo::.configurators", "other.configurators", "com.ex.Foo::a.configurators"
    }  # fmt: skip


def test_documents_are_read_as_they_are_written() -> None:
    assert outcome(dubbo_documents.read(FOO, DUBBO_WEIGHT.encode())) == FIRST_MORE
    assert outcome(dubbo_documents.read(FOO, DUBBO_DISABLED.encode())) == FIRST_OUT
    assert outcome(dubbo_documents.read(SHOP, DUBBO_OF_APPLICATION.encode())) == [(10, True), (10, True)]
    assert outcome(dubbo_documents.read(SHOP, b"")) == AS_IT_WAS


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("side: consumer, parameters: {disabled: true}", BOTH_OUT),
        ("side: consumer, parameters: {disabled: 'true'}", BOTH_OUT),
        ("side: consumer, parameters: {weight: 0}", BOTH_OUT),
        ("side: consumer, parameters: {disabled: false}", AS_IT_WAS),
        ("side: consumer, providerAddresses: ['10.0.0.1:20880'], parameters: {disabled: true}", FIRST_OUT),
        ("side: consumer, providerAddresses: [10.0.0.1], parameters: {disabled: true}", FIRST_OUT),
        ("side: consumer, providerAddresses: ['10.0.0.1:1'], parameters: {disabled: true}", AS_IT_WAS),
        ("side: consumer, providerAddresses: ['0.0.0.0:20880'], parameters: {disabled: true}", BOTH_OUT),
        ("side: consumer, providerAddresses: ['0.0.0.0:*'], parameters: {disabled: true}", BOTH_OUT),
        ("side: consumer, providerAddresses: ['0.0.0.0:1'], parameters: {disabled: true}", AS_IT_WAS),
        ("side: consumer, addresses: ['0.0.0.0:1'], parameters: {disabled: true}", BOTH_OUT),
        ("side: consumer, addresses: [10.9.9.9, 0.0.0.0], parameters: {disabled: true}", BOTH_OUT),
        ("side: consumer, applications: ['*'], parameters: {disabled: true}", BOTH_OUT),
        ("side: provider, parameters: {disabled: true}", BOTH_OUT),
        ("side: provider, addresses: ['10.0.0.1:20880'], parameters: {disabled: true}", FIRST_OUT),
        ("side: provider, addresses: [10.0.0.1, 10.0.0.3], parameters: {disabled: true}", FIRST_OUT),
        ("side: provider, addresses: ['0.0.0.0:1'], parameters: {disabled: true}", AS_IT_WAS),
        ("side: provider, providerAddresses: [10.0.0.1], parameters: {weight: '300'}", FIRST_MORE),
        ("side: provider, addresses: [10.0.0.2], providerAddresses: [10.0.0.1], parameters: {weight: 3}", AS_IT_WAS),
        ("side: provider, applications: [shop], parameters: {disabled: true}", BOTH_OUT),
        ("side: provider, applications: [other], parameters: {disabled: true}", AS_IT_WAS),
        ("side: provider, addresses: [0.0.0.0], services: [com.ex.Bar], parameters: {disabled: true}", BOTH_OUT),
        ("side: consumer, parameters: {timeout: 3000}", AS_IT_WAS),
        ("side: consumer, match: {app: {}}, parameters: {timeout: 3000, 'hi.weight': 3}", AS_IT_WAS),
        ("side: consumer, type: general, enabled: false, parameters: {disabled: true}", BOTH_OUT),
        ("side: consumer, type: weight, enabled: true, parameters: {disabled: true}", BOTH_OUT),
        ("side: consumer, type: weight, enabled: false, parameters: {disabled: true}", AS_IT_WAS),
        ("side: consumer, type: weight, parameters: {disabled: true}", AS_IT_WAS),
    ],
)
def test_a_document_of_a_service_says_weights_and_who_is_disabled(entry: str, expected: list[tuple[int, bool]]) -> None:
    document = service(entry)
    assert document.remarks == ()
    assert outcome(document) == expected


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("side: provider, parameters: {disabled: true}", BOTH_OUT),
        ("side: provider, addresses: ['10.0.0.1:20880'], parameters: {weight: 300}", FIRST_MORE),
        ("side: provider, applications: [other], parameters: {disabled: true}", BOTH_OUT),
        ("side: provider, services: [], parameters: {disabled: true}", BOTH_OUT),
        ("side: provider, services: ['*'], parameters: {disabled: true}", BOTH_OUT),
        ("side: provider, services: [com.ex.Bar, g/com.ex.Foo:1.0.0], parameters: {disabled: true}", BOTH_OUT),
        ("side: provider, services: ['com.ex.Foo:1.0.0:g'], parameters: {disabled: true}", BOTH_OUT),
        ("side: provider, services: [com.ex.Foo], parameters: {disabled: true}", AS_IT_WAS),
    ],
)
def test_a_document_of_an_application_says_it_of_what_the_application_provides(
    entry: str, expected: list[tuple[int, bool]]
) -> None:
    assert outcome(application(entry)) == expected
    others = [provider("10.0.0.1", "application=other"), provider("10.0.0.2", "application=other")]
    assert outcome(application(entry), of=others) == AS_IT_WAS


def test_a_document_that_is_not_enabled_says_nothing_but_what_has_a_switch_of_its_own() -> None:
    entry = "side: provider, parameters: {disabled: true}"
    assert outcome(service(entry, more="enabled: false")) == AS_IT_WAS
    assert outcome(service(f"type: weight, enabled: true, {entry}", more="enabled: false")) == BOTH_OUT


@pytest.mark.parametrize("key", ["com.ex.Foo:1.0.0:g", "com.ex.Foo", "com.ex.Foo:1.0.0", "g/com.ex.Foo:1.0.0"])
def test_a_key_is_the_service_in_each_spelling_that_some_version_heeds(key: str) -> None:
    assert outcome(service("side: consumer, parameters: {disabled: true}", key=key)) == BOTH_OUT


@pytest.mark.parametrize("where", ["[2001:db8::1]:20880", "[2001:db8::1]", "2001:db8::1", "[2001:DB8:0::1]:20880"])
def test_an_ipv6_address_stands_in_brackets_or_alone(where: str) -> None:
    of = [provider("[2001:db8::1]"), provider("[2001:db8::2]")]
    assert (
        outcome(service(f"side: provider, addresses: ['{where}'], parameters: {{disabled: true}}"), of=of) == FIRST_OUT
    )


def test_what_is_said_of_one_version_is_not_said_of_another() -> None:
    of = [provider("10.0.0.1"), provider("10.0.0.2", "version=2.0.0&group=g")]
    assert outcome(service("side: consumer, parameters: {disabled: true}"), of=of) == FIRST_OUT


def test_the_more_special_entry_is_heard_last_and_of_equal_ones_the_later() -> None:
    of_all, of_one = "side: provider, parameters: {weight: 200}", "side: provider, addresses: [10.0.0.1], "
    assert outcome(service(of_one + "parameters: {weight: 600}", of_all)) == [(6, False), (2, False)]
    twice = [of_one + "parameters: {weight: 600}", "side: provider, addresses: ['10.0.0.1:20880'], "]
    assert outcome(service(twice[0], twice[1] + "parameters: {weight: 300}")) == FIRST_MORE
    assert outcome(service(twice[1] + "parameters: {weight: 300}", twice[0])) == [(6, False), (1, False)]
    first = "side: consumer, parameters: {weight: 300, priority: 1}"
    assert outcome(service(first, "side: consumer, parameters: {weight: 200}")) == [(3, False), (3, False)]


def test_a_provider_hears_its_application_its_service_those_of_before_and_consumers_in_that_order() -> None:
    of_shop = application("side: provider, parameters: {weight: 200, disabled: true}")
    of_foo = service("side: provider, parameters: {weight: 300}")
    consumers = service("side: consumer, parameters: {disabled: false, weight: 700}")
    assert outcome(of_shop) == [(2, True), (2, True)]
    assert outcome(of_shop, of_foo) == outcome(of_foo, of_shop) == [(3, True), (3, True)]
    assert outcome(of_shop, of_foo, of=[*BOTH, override("weight=500")]) == [(5, True), (5, True)]
    assert outcome(of_shop, consumers, of=[*BOTH, override("weight=500")]) == [(7, False), (7, False)]


def test_what_dubbos_admin_writes_besides_a_document_for_versions_before_is_not_heeded() -> None:
    assert outcome(of=[*BOTH, override("disabled=true&compatible_config=true")]) == AS_IT_WAS
    assert outcome(of=[*BOTH, override("disabled=true")]) == BOTH_OUT


@pytest.mark.parametrize(
    ("entry", "field"),
    [
        ("parameters: {disabled: true}", "side"),
        ("side: both, parameters: {disabled: true}", "side"),
        ("side: consumer, addresses: [10.9.9.9], parameters: {disabled: true}", "addresses"),
        ("side: consumer, applications: [shop], parameters: {weight: 0}", "applications"),
        ("side: consumer, match: {app: {oneof: [{exact: a}]}}, parameters: {disabled: true}", "match"),
        ("side: provider, match: {param: [{key: a, value: {exact: b}}]}, parameters: {weight: 3}", "match"),
    ],
)
def test_what_cannot_be_judged_for_all_consumers_is_told_and_not_applied(entry: str, field: str) -> None:
    document = service("side: consumer, providerAddresses: [10.0.0.1], parameters: {weight: 300}", entry)
    (remark,) = document.remarks
    assert remark.startswith(f"configs[1].{field}: ")
    assert remark.endswith("; it is not applied")
    assert outcome(document) == FIRST_MORE


def test_what_an_application_heeds_when_it_calls_is_told_and_not_applied() -> None:
    document = application("side: consumer, parameters: {disabled: true}")
    (remark,) = document.remarks
    assert remark.startswith("configs[0].side: ")
    assert outcome(document) == AS_IT_WAS


BAD = [
    ("not: [yaml", "is not YAML"),
    ("\xff\xfe", "UTF-8"),
    ("just text", "the document"),
    ("[ 'override://0.0.0.0/com.ex.Foo?disabled=true' ]", "the document"),
    ("a: 1\na: 2", "stands twice"),
    ("scope: application\nkey: com.ex.Foo\nconfigs: []", "scope 'application'"),
    ("scope: service\nconfigs: []", "key is missing"),
    ("scope: service\nkey: com.ex.Bar\nconfigs: []", "key 'com.ex.Bar'"),
    ("scope: service\nkey: com.ex.Foo:2.0.0\nconfigs: []", "key 'com.ex.Foo:2.0.0'"),
    ("scope: service\nkey: com.ex.Foo\n", "configs None"),
    ("scope: service\nkey: com.ex.Foo\nconfigs: {}", "configs a mapping"),
    ("scope: service\nkey: com.ex.Foo\nenabled: yes\nconfigs: []", "enabled 'yes'"),
    ("key: com.ex.Foo\nconfigs: [text]", "configs[0]"),
    ("key: com.ex.Foo\nconfigs: [{side: consumer}]", "configs[0]: parameters are missing"),
    ("key: com.ex.Foo\nconfigs: [{parameters: {}}]", "configs[0]: parameters are missing"),
    ("key: com.ex.Foo\nconfigs: [{side: consumer, parameters: {weight: -1}}]", "configs[0]: weight -1"),
    ("key: com.ex.Foo\nconfigs: [{side: consumer, parameters: {weight: much}}]", "configs[0]: weight 'much'"),
    ("key: com.ex.Foo\nconfigs: [{side: consumer, parameters: {disabled: no}}]", "configs[0]: disabled 'no'"),
    ("key: com.ex.Foo\nconfigs: [{side: provider, addresses: 10.0.0.1, parameters: {weight: 1}}]", "is not a list"),
    ("key: com.ex.Foo\nconfigs: [{side: provider, addresses: [10.0.0.*], parameters: {weight: 1}}]", "addresses"),
    ("key: com.ex.Foo\nconfigs: [{side: provider, addresses: ['10.0.0.1:http'], parameters: {weight: 1}}]", "port"),
    ("key: com.ex.Foo\nconfigs: [{side: provider, applications: [1], parameters: {weight: 1}}]", "applications"),
    ("x: " + "[" * 40 + "]" * 40, "nested"),
    ("#" * 70_000, "bytes"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "why"), BAD)
def test_a_document_that_cannot_be_understood_is_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=re.escape(why)) as told:
        dubbo_documents.read(FOO, text.encode("latin-1"))
    assert str(told.value).isprintable()


words = st.sampled_from(
    ["scope: service", "key: com.ex.Foo", "configs:", "- side: consumer", "  parameters: {weight: 3}", "  addresses:",
     "  - '[::1]:80'", "&a", "*a", "- {}", "enabled: false", "  match: {}", "---", "...", "!!set {}"]
)  # fmt: skip


@pytest.mark.promise("S-17")
@given(st.one_of(st.binary(max_size=60), st.lists(words, max_size=8).map(lambda lines: "\n".join(lines).encode())))
def test_no_document_makes_the_reader_fail_otherwise(data: bytes) -> None:
    try:
        dubbo_documents.read(FOO, data)
    except ValueError as error:
        assert str(error).isprintable()  # noqa: PT017  # either outcome is fine


# Of an application's instances


def test_what_an_application_says_of_all_that_it_provides_is_said_of_its_instances() -> None:
    instances = [child("a", OF_DUBBO), child("b", OF_DUBBO.replace("10.0.0.1", "10.0.0.2"))]
    assert DubboApp().heeds("shop", ()) == {SHOP}
    document = application("side: provider, addresses: ['10.0.0.1:20880'], parameters: {disabled: true, weight: 300}")
    for documents, expected in (([document], [(3, True), (1, False)]), ([], AS_IT_WAS)):
        told = tell(documents, instances, DubboApp())
        assert not told.problems
        assert [(one.endpoint.weight, one.endpoint.health is not None) for one in told.others] == expected


def test_what_it_says_of_some_services_is_told_and_not_applied() -> None:
    narrow = application("side: provider, services: [com.ex.Foo], parameters: {disabled: true}")
    told = tell([narrow], [child("a", OF_DUBBO)], DubboApp())
    (one,) = told.others
    assert one.endpoint.health is None
    (problem,) = told.problems
    assert problem.what.startswith(f"{SHOP}: configs[0].services: ")
