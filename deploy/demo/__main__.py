"""`python -m deploy.demo [--once]`: start everything, say where it is, end it all on Ctrl-C."""

import argparse
import asyncio
import contextlib
import signal
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bridge.errors import BridgeError
from deploy.demo.checks import check
from deploy.demo.stage import ADMIN, ENVOY, FRONT, LEDGER, PAYMENTS, XDS, Stage, StageError


async def _demo(folder: Path, once: bool) -> int:
    console = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 200)
    async with Stage(folder) as stage:
        console.print("starting six sample servers, the bridge and Envoy (the first time, Envoy is fetched: 40 MB) …")
        await stage.raise_curtain()
        if once:
            return await _once(stage, console)
        _explain(stage, console)
        await _interrupted()
        console.print("\nending what was started …")
    return 0


async def _once(stage: Stage, console: Console) -> int:
    checks = await check(stage)
    table = Table("", "what", "seen")
    for line in checks:
        table.add_row("[green]holds[/]" if line.holds else "[red]fails[/]", line.what, line.seen)
    console.print(table)
    return 0 if all(line.holds for line in checks) else 1


def _explain(stage: Stage, console: Console) -> None:
    folder = stage.folder
    console.print(
        f"""
[bold]What runs[/]
  shop/payments   {"  ".join(PAYMENTS)}   in {folder}/vms.yaml
  shop/ledger     {LEDGER[0]}  (and {LEDGER[1]}, not listed yet)   in {folder}/targets.json
  the bridge      EDS on {XDS}, admin on http://{ADMIN}   log: {folder}/bridge.log
  Envoy           routes on http://{FRONT}, admin on http://{ENVOY}   log: {folder}/envoy.log
  written         {folder}/prometheus.json (file_sd) and {folder}/hosts follow

[bold]Ask, and see who answers[/]
  for i in $(seq 8); do curl -s -H 'x-service: shop/payments' http://{FRONT}/; done

[bold]Watch the traffic move[/] (in a second terminal)
  add:     put 127.0.20.2:18181 beside 127.0.20.1:18181 in {folder}/targets.json
           → asks with x-service: shop/ledger reach it within milliseconds
  remove:  take 127.0.10.4 out of {folder}/vms.yaml
           → no more requests at once; out of Envoy after some 3 s, when the guard believes it
  again:   take 127.0.10.3 out as well
           → [italic]held[/] for up to 60 s, since two of four in 15 minutes is a lot; one of three keeps 7 % of the
             requests meanwhile, because the two others would have to carry too much without it.
             registry-bridge holds --config {folder}/bridge.yaml   says what it waits for
  break:   : > {folder}/vms.yaml
           → nothing happens to the traffic; bridge.log says why
  write:   {folder}/prometheus.json and {folder}/hosts say the same; edit one, and it is put right.
             registry-bridge show exports --config {folder}/bridge.yaml   says how it stands with them
             registry-bridge withdraw --config {folder}/bridge.yaml       takes all of it back
  why:     registry-bridge explain shop/payments --config {folder}/bridge.yaml
           (the command is .venv/bin/registry-bridge; a whole service deleted whose processes still
           answer stays held for 30 minutes, or until `holds accept`: that is intended)

Ctrl-C ends all of it."""
    )


async def _interrupted() -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()


def main() -> int:
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--once", action="store_true", help="check by itself, print a table, exit 0 when all holds")
    once = parser.parse_args().once
    with tempfile.TemporaryDirectory(prefix="registry-bridge-demo-") as folder, contextlib.suppress(KeyboardInterrupt):
        try:
            return asyncio.run(_demo(Path(folder), once))
        except (StageError, BridgeError) as error:
            print(f"demo: {error}", file=sys.stderr)
            return 1
    return 130


if __name__ == "__main__":
    sys.exit(main())
