"""What an API server's refusals mean, and how its paths are written."""

import json

import pytest

from adapters.kubernetes.client import Expired, Missing, path, refusal
from bridge.errors import BridgeError, Conflict, Denied, Rejected, Unavailable


def said(status: int, message: str = "no", *causes: str) -> bytes:
    details = {"causes": [{"reason": cause} for cause in causes]}
    return json.dumps({"kind": "Status", "code": status, "message": message, "details": details}).encode()


@pytest.mark.parametrize(
    ("status", "reaction"),
    [
        (400, Rejected), (401, Denied), (403, Denied), (404, Missing), (409, Conflict), (410, Expired),
        (413, Rejected), (422, Rejected), (429, Unavailable), (500, Unavailable), (503, Unavailable),
    ],
)  # fmt: skip
def test_each_refusal_is_named_for_its_reaction(status: int, reaction: type[BridgeError]) -> None:
    assert type(refusal(status, said(status), "k8s: GET /x")) is reaction


def test_a_right_that_is_missing_is_not_a_login_that_is_refused() -> None:
    forbidden = refusal(403, said(403, 'User "bridge" cannot list resource "services"'), "k8s: GET /x")
    refused = refusal(401, said(401), "k8s: GET /x")
    assert isinstance(forbidden, Denied)
    assert isinstance(refused, Denied)
    assert (forbidden.whole, refused.whole) == (False, True)
    assert str(forbidden) == (
        'k8s: GET /x: User "bridge" cannot list resource "services"; '
        "grant it to that user by a Role, or a ClusterRole, and its binding"
    )


def test_a_namespace_that_terminates_is_a_conflict_and_no_missing_right() -> None:
    assert type(refusal(403, said(403, "being terminated", "NamespaceTerminating"), "k8s: POST /x")) is Conflict


@pytest.mark.parametrize("status", [302, 400, 404, 409, 410])
@pytest.mark.parametrize("body", [b"", b"<html>not here</html>", b"[]", b'{"kind": "Other"}'])
def test_what_is_no_api_server_says_nothing_about_objects(status: int, body: bytes) -> None:
    error = refusal(status, body, "k8s: GET /x")
    assert type(error) is Unavailable
    assert "something else than a Kubernetes API server" in str(error)


def test_a_refusal_is_one_line_of_bounded_length() -> None:
    text = str(refusal(422, said(422, "bad\r\nthing\t" + "x" * 5_000), "k8s: POST /x"))
    assert text.startswith("k8s: POST /x: bad thing xxx")
    assert text.isprintable()
    assert len(text) < 500


@pytest.mark.promise("S-08")
def test_no_name_leads_out_of_its_place() -> None:
    assert path("api", "v1", "namespaces", "a/../b", "services") == "/api/v1/namespaces/a%2F..%2Fb/services"
    assert path("x", "a?b#c%2F") == "/x/a%3Fb%23c%252F"
    for part in ("", ".", ".."):
        with pytest.raises(Rejected):
            path("api", part)
