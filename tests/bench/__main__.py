"""`python -m tests.bench [names]`: run scenarios, print their figures beside the peers', keep them as JSON."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module

import click
from rich.console import Console

from tests.bench.golang import NoGoError, build
from tests.bench.report import Row, show, write

Run = Callable[[bool, int, Callable[[str], None]], Sequence[Row]]


@dataclass(frozen=True, slots=True)
class Scenario:
    """One of the performance plan's: `run(quick, runs, say)` in a module of this folder measures it."""

    module: str
    run: str
    about: str

    def load(self) -> Run:
        found: Run = getattr(import_module(f"tests.bench.{self.module}"), self.run)
        return found


SCENARIOS = {
    "W1-file": Scenario("edit", "w1", "an edit of an inventory → a real Envoy's /clusters"),
    "W1-kubernetes": Scenario("slices", "w1", "a change of an EndpointSlice → a real Envoy's /clusters"),
    "W1-zookeeper": Scenario("znodes", "w1", "a change of a znode → a real Envoy's /clusters"),
    "W1-consul": Scenario("instances", "w1", "a change of an instance in Consul → a real Envoy's /clusters"),
    "W3": Scenario("fanout", "w3", "one change among 10,000 services → its one subscriber, of 200 streams"),
    "W4": Scenario("core", "w4", "guard, merge, view and encoding of one change, at 1,000 and 50,000 services"),
    "W5": Scenario("fanout", "w5", "one change in a service of 1,000 endpoints → 1,000 subscribers"),
    "W8-kubernetes": Scenario("cluster", "w8", "a whole Kubernetes cluster, read from nothing"),
    "W8-zookeeper": Scenario("znodes", "w8", "the first view of 10,000 znodes in 1,000 services"),
    "W10-zookeeper": Scenario("frozen", "w10", "a ZooKeeper that is frozen and goes on"),
    "W12-zookeeper": Scenario("znodes", "w12", "a thousand records written into a real ZooKeeper, and one changed"),
    "W8-consul": Scenario("instances", "w8", "the first view of 10,000 instances in 1,000 services, and idle after it"),
    "W12-consul": Scenario("registrations", "w12", "ten thousand instances written into a real Consul, and changed"),
    "sync-consul": Scenario(
        "pods", "sync", "a pod of a Kubernetes → an instance in Consul, as consul-k8s brings it there"
    ),
    "W12": Scenario("export", "w12", "a thousand services written to a file, and all of them changed"),
    "W12-kubernetes": Scenario("slices", "w12", "a thousand services written into a real Kubernetes, and changed"),
    "plan": Scenario("export", "plans", "what to write after one change among 10,000 services"),
    "W13": Scenario("core", "w13", "memory of 10,000 services × 10 endpoints in three registries"),
}


@click.command(help=f"Scenarios: {', '.join(SCENARIOS)}; all of them when none is named.")
@click.argument("names", nargs=-1, type=click.Choice(list(SCENARIOS), case_sensitive=False))
@click.option("--quick", is_flag=True, help="Small sizes and one round: whether it runs, not how fast it is.")
@click.option("--runs", type=click.IntRange(1, 50), default=5, show_default=True, help="Rounds; figures are medians.")
def main(names: Sequence[str], quick: bool, runs: int) -> None:
    out = Console(width=None if sys.stdout.isatty() else 200)
    err = Console(stderr=True)
    try:
        build()
    except NoGoError as error:
        err.print(f"[yellow]{error}; until then only ours runs, asked by a client in Python, and no ratio is printed")
    for name in names or SCENARIOS:
        err.print(f"[bold]{name}[/]: {SCENARIOS[name].about}")
        rows = SCENARIOS[name].load()(quick, 1 if quick else runs, lambda line: err.print(line, style="dim"))
        show(rows, out)
        out.print(f"written to {write(name, rows, quick)}")


if __name__ == "__main__":
    sys.exit(main())
