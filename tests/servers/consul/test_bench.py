"""The benchmark of what is written into a Consul runs, and its counts hold: those do not depend on the weather."""

from tests.bench.registrations import export


async def test_a_change_costs_one_transaction_and_many_cost_few() -> None:
    seen = await export(12, 1.0, print)
    assert seen["transactions of one"] <= 3 + seen["one changed s"], "the server's own among them"
    assert seen["transactions"] < 12 * 10 / 2
    assert seen["transactions of all"] < 12 * 10 / 2
