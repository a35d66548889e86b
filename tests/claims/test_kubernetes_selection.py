"""Which Services count."""

import pytest

from adapters.kubernetes.objects import service_of
from adapters.kubernetes.selection import Selection, misunderstood, pattern
from adapters.kubernetes.selector import Selector
from adapters.kubernetes.settings import Settings
from bridge.kit.names import Namespaces
from tests import kube

LABELS = {"team": "payments", "tier": "web", "generation": "7", "app.kubernetes.io/name": "api", "empty": ""}


def selection(
    *globs: str,
    namespaces: tuple[str, ...] = ("*",),
    excepted: tuple[str, ...] = (),
    selector: str = "",
    opt_in: bool = False,
) -> Selection:
    return Selection(
        Namespaces.of(namespaces, excepted),
        tuple(map(pattern, globs or ("*",))),
        Selector.parse(selector),
        opt_in,
    )


def admits(one: Selection, key: str = "shop/payments", **said: str) -> bool:
    annotations = {"registry-bridge.dev/sync": said["sync"]} if "sync" in said else {}
    return one.admits(service_of(kube.service(key, labels=LABELS, annotations=annotations, type=said.get("type"))))


@pytest.mark.parametrize(
    ("text", "is_met"),
    [
        ("", True),
        ("  ", True),
        ("team=payments", True),
        ("team==payments", True),
        (" team = payments , tier = web ", True),
        ("team=payments,tier=db", False),
        ("team!=payments", False),
        ("nobody!=payments", True),  # a label that is missing is not that value
        ("team", True),
        ("nobody", False),
        ("!nobody", True),
        ("! team", False),
        ("tier in (web,db)", True),
        ("tier in ( api , db )", False),
        ("tier notin (api, db),team", True),
        ("nobody notin (x)", True),
        ("nobody in (x)", False),
        ("app.kubernetes.io/name in (api)", True),
        ("generation>6", True),
        ("generation > 7", False),
        ("generation<10,generation>0006", True),
        ("team>6", False),
        ("nobody<6", False),
        ("empty=", True),
        ("empty", True),
        ("team=", False),
        ("empty in ()", True),
        ("empty in (a,)", True),
        ("empty in (,)", True),
        ("nobody=", False),
        ("in in (in,notin)", False),
        ("tier in(web)", True),
    ],
)
def test_a_label_selector_means_what_it_means_to_kubectl(text: str, is_met: bool) -> None:
    assert Selector.parse(text).admits(LABELS) is is_met


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("team in payments", "'(' is expected, and 'payments' stands there"),
        ("team in (payments", "')' is expected, and its end stands there"),
        ("team in (pay ments)", "')' is expected, and 'ments' stands there"),
        ("team,", "a label is expected, and its end stands there"),
        (",team", "a label is expected, and ',' stands there"),
        ("=payments", "a label is expected, and '=' stands there"),
        ("team payments", "one of =, ==, !=, in, notin, <, > or a comma is expected, and 'payments' stands there"),
        ("team=a=b", "a comma or its end is expected, and '=' stands there"),
        ("!team=a", "a comma or its end is expected, and '=' stands there"),
        ("!team in (a)", "a comma or its end is expected, and 'in' stands there"),
        ("team=!a", "a value is expected, and '!' stands there"),
        ("te$am", "'te$am' cannot name a label"),
        ("/team=a", "'/team' cannot name a label"),
        ("A.com/team=a", "'A.com/team' cannot name a label"),
        ("a/b/c", "'a/b/c' cannot name a label"),
        (f"{'a' * 64}=b", "cannot name a label"),
        ("team=-a", "'-a' cannot be a label's value"),
        (f"team={'a' * 64}", "cannot be a label's value"),
        ("team>a", "team is to be compared with a whole number"),
        ("team>", "team is to be compared with a whole number"),
        ("team>99999999999999999999", "team is to be compared with a whole number"),
        ("team=>5", "a value is expected, and '>' stands there"),
        ("team=\x00", "cannot be a label's value"),
    ],
)
def test_what_is_no_label_selector_is_told_on_one_line(text: str, why: str) -> None:
    with pytest.raises(ValueError) as caught:
        Selector.parse(text)
    assert why in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("namespaces", "excepted", "admitted", "left_out"),
    [
        (("*",), (), "shop data default", "kube-system kube-public"),
        (("*",), ("shop",), "data", "shop kube-system"),
        (("shop", "data"), (), "shop data", "default kube-system"),
        (("*", "kube-system"), ("data",), "shop kube-system", "data kube-public"),
        (("kube-system",), (), "kube-system", "shop"),
        ((), (), "", "shop"),
    ],
)
def test_namespaces_are_all_or_named_or_all_but_some(
    namespaces: tuple[str, ...], excepted: tuple[str, ...], admitted: str, left_out: str
) -> None:
    one = selection(namespaces=namespaces, excepted=excepted)
    assert all(admits(one, f"{each}/payments") for each in admitted.split())
    assert not any(admits(one, f"{each}/payments") for each in left_out.split())


def test_a_namespace_is_a_name_and_stands_on_one_side() -> None:
    with pytest.raises(ValueError, match="'shop' is named and excepted; remove one of them"):
        Namespaces.of(["*", "shop"], ["shop"])
    with pytest.raises(ValueError, match="write 'shop'"):
        Namespaces.of(["Shop"], [])


def test_globs_are_over_the_name_or_with_a_slash_over_both() -> None:
    assert admits(selection("pay*"))
    assert admits(selection("shop/*"))
    assert admits(selection("x", "*/payment?"))
    assert not admits(selection("data/*", "pay"))
    with pytest.raises(ValueError, match="is not a pattern"):
        pattern("a/b/c")


def test_labels_are_asked_too() -> None:
    assert admits(selection(selector="team in (payments)"))
    assert not admits(selection(selector="team in (orders)"))


def test_a_service_may_opt_in_and_may_always_opt_out() -> None:
    assert not admits(selection(opt_in=True))
    assert admits(selection(opt_in=True), sync="true")
    assert not admits(selection(opt_in=True), sync="yes")
    assert not admits(selection(), sync="false")
    assert admits(selection(), sync="yes")


def test_an_annotation_that_says_neither_is_shown() -> None:
    def problem(said: str) -> str:
        return str(misunderstood(service_of(kube.service("shop/a", annotations={"registry-bridge.dev/sync": said}))))

    assert problem("true") == problem("false") == "None"
    assert problem("True") == (
        'shop/a: annotation registry-bridge.dev/sync is \'True\', and counts as nothing: write "true" or "false"'
    )
    assert misunderstood(service_of(kube.service("shop/a"))) is None


def test_a_name_for_another_host_is_no_service() -> None:
    assert not admits(selection(), type="ExternalName")
    assert admits(selection(), type="NodePort")


@pytest.mark.promise("S-03")
@pytest.mark.parametrize(
    ("said", "filled"),
    [
        ({}, "shop"),
        ({"import": {"namespaces": ["shop"], "except": []}}, "shop"),
        ({"import": {"namespaces": ["kube-system"]}}, "kube-system"),
        ({"import": {"namespaces": ["*", "kube-system"], "except": ["data"]}}, "shop kube-system"),
        ({"import": {"namespaces": ["*"]}, "namespaces": ["kube-system"]}, "kube-system"),
    ],
)
def test_what_is_imported_by_name_may_be_filled_and_nothing_else(said: dict[str, object], filled: str) -> None:
    settings = Settings.model_validate({"name": "k8s", "kind": "kubernetes", **said})
    admitted = [one for one in ("shop", "kube-system", "kube-public", "data") if settings.fills().admit(one)]
    assert [one for one in admitted if one != "data"] == filled.split()
