"""Requests and responses pass each other on the wire: an Envoy asks for more while an answer is on its way to it."""

import pytest

from bridge.xds.messages import EDS, Interest, Request
from bridge.xds.session import Session
from tests.builders import service
from tests.envoy.harness import Bridge, Envoys, Way

PAYMENTS = "shop/payments"
ROUNDS = 100


@pytest.fixture
def overtaken(monkeypatch: pytest.MonkeyPatch) -> list[set[str]]:
    """What was newly wanted by requests for endpoints that answered an older response than the last one sent."""
    seen: list[set[str]] = []
    receive = Session.receive

    def spying(self: Session, request: Request) -> Interest:
        status = {one.type_url: one for one in self.status()}.get(EDS)
        nonce = self._endpoints.flight.nonce if self._endpoints and self._endpoints.flight else None
        interest = receive(self, request)
        if request.type_url == EDS and status is not None and nonce is not None and request.nonce != nonce:
            seen.append(set(interest.wanted))
        return interest

    monkeypatch.setattr(Session, "receive", spying)
    return seen


@pytest.mark.promise("xDS-2", "xDS-6", "xDS-9")
@pytest.mark.parametrize("delta", [False, True], ids=["sotw", "delta"])
async def test_names_that_envoy_asks_for_while_an_answer_is_on_its_way_count(
    envoys: Envoys, delta: bool, overtaken: list[set[str]]
):
    """A new service together with a change of another one: Envoy asks for the new one before it reads the change."""
    async with Bridge(service(PAYMENTS, "10.0.0.1:80")) as bridge, envoys.one(bridge, Way("ads", delta)) as envoy:
        await envoy.becomes(bridge.expected())
        for number in range(1, ROUNDS):
            new = f"shop/new-{number}"
            bridge.show(service(PAYMENTS, f"10.0.1.{number}:80"), service(new, f"10.0.2.{number}:80"))
            await envoy.becomes(bridge.expected())
            if any(overtaken):
                break
        assert any(overtaken), f"in {ROUNDS} rounds no request passed a response"
        assert await envoy.rejected() == 0
        bridge.show(service(PAYMENTS, "10.0.3.1:80"))
        await envoy.becomes(bridge.expected())
