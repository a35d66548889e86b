import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.kit.names import Pattern, digested, label, metadata, normalised, port_name, service_name
from bridge.model import ServiceName


def test_a_service_name_is_two_labels() -> None:
    assert service_name("shop/payments") == ServiceName("shop", "payments")
    assert service_name("payments", "shop") == ServiceName("shop", "payments")
    assert service_name("legacy/payments", "shop") == ServiceName("legacy", "payments")


@pytest.mark.promise("S-09")
@pytest.mark.parametrize(
    "text",
    ["shop/pay\r\nments", "shop/payments\n", "shop/a\x00", "shop/../etc", "/payments", "shop/", "a/b/c", "Shop/x", ""],
)
def test_a_name_with_control_characters_or_another_form_is_refused_on_one_line(text: str) -> None:
    with pytest.raises(ValueError) as caught:
        service_name(text)
    assert str(caught.value).isprintable()


def test_a_name_without_a_namespace_says_what_to_write() -> None:
    with pytest.raises(ValueError, match="namespace:"):
        service_name("payments")


def test_a_refused_label_offers_one() -> None:
    with pytest.raises(ValueError, match="write 'node-exporter'"):
        label("Node_Exporter")


@pytest.mark.parametrize(
    ("text", "made"),
    [("Node_Exporter", "node-exporter"), ("__a..b__", "a-b"), ("xn--bcher-kva", "xn--bcher-kva"), ("A--b", "a--b")],
)
def test_a_foreign_name_is_made_into_a_label_and_a_label_stays_as_it_is(text: str, made: str) -> None:
    assert normalised(text) == made


@pytest.mark.parametrize("text", ["über", "web–2", "日本", "..", "a" * 64, "a\nb"])
def test_a_name_that_would_lose_a_letter_or_all_of_them_is_no_label(text: str) -> None:
    with pytest.raises(ValueError, match=r"cannot be made into a DNS label|control characters") as caught:
        normalised(text)
    assert str(caught.value).isprintable()


@given(st.text(max_size=80), st.text(max_size=80))
def test_any_name_with_a_letter_has_a_digest_of_its_own(text: str, other: str) -> None:
    try:
        made = digested(text)
    except ValueError:
        assert not text.isprintable() or not any(map(str.isalnum, text))
        return
    assert label(made) == made == digested(text.lower())
    if other.isprintable() and any(map(str.isalnum, other)) and other.lower() != text.lower():
        assert digested(other) != made


@given(st.text(max_size=80))
def test_what_is_normalised_is_a_label_and_stays_so(text: str) -> None:
    try:
        made = normalised(text)
    except ValueError:
        return
    assert label(made) == made == normalised(made)


@pytest.mark.parametrize("text", ["http", "grpc-web", "a1", "Http_2", "8080-tcp"])
def test_port_names(text: str) -> None:
    assert port_name(text) == text


@pytest.mark.parametrize("text", ["8080", "", "a b", "a\n", "-a", "a" * 64])
def test_what_cannot_name_a_port_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        port_name(text)


@pytest.mark.promise("S-09", "S-06")
@pytest.mark.parametrize(
    "pairs",
    [
        (("a", "x\r\nset-cookie: y"),),
        (("a\n", "x"),),
        (("", "x"),),
        (("a", "x" * 1025),),
        (("k" * 129, "x"),),
        tuple((f"k{i:03}", "x") for i in range(65)),
    ],
)
def test_metadata_with_control_characters_or_too_much_of_it_is_refused(pairs: tuple[tuple[str, str], ...]) -> None:
    with pytest.raises(ValueError) as caught:
        metadata(pairs)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("pattern", "name", "matches"),
    [
        ("shop/payments", "shop/payments", True),
        ("shop/payments", "shop/payments2", False),
        ("shop/*", "shop/payments", True),
        ("shop/*", "shopping/payments", False),
        ("*", "shop/payments", True),
        ("*/pay*", "shop/payments", True),
        ("shop/pay????", "shop/payments", False),
        ("shop/pay?ents", "shop/payments", True),
    ],
)
def test_patterns(pattern: str, name: str, matches: bool) -> None:
    assert Pattern(pattern).matches(ServiceName.parse(name)) is matches


@pytest.mark.parametrize("text", ["", "shop", "shop/", "/x", "a/b/c", "shop/pay ments", "Shop/*", "shop/[ab]"])
def test_what_can_match_nothing_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="pattern"):
        Pattern(text)


def test_patterns_sort_from_the_least_to_the_most_specific() -> None:
    texts = ["shop/payments", "*", "shop/*", "shop/pay*", "a/b"]
    assert [p.text for p in sorted(map(Pattern, texts), key=lambda p: p.order)] == [
        "*",
        "shop/*",
        "shop/pay*",
        "a/b",
        "shop/payments",
    ]
