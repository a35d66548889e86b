"""The command `registry-bridge`."""

import sys

import click

from bridge import __version__
from bridge.cli.convert import convert
from bridge.cli.describe import adapters, envoy_bootstrap, schema
from bridge.cli.exporting import apply, plan
from bridge.cli.handover import adopt, withdraw
from bridge.cli.holds import freeze, holds
from bridge.cli.register import deregister, register
from bridge.cli.running import check, reported, run
from bridge.cli.show import explain, show
from bridge.errors import BridgeError


class _Group(click.Group):
    """Errors that an operator is meant to read end a command with one line each, never with a traceback."""

    def invoke(self, context: click.Context) -> object:
        try:
            return super().invoke(context)
        except BridgeError as error:
            context.exit(reported(error))
        except BrokenPipeError:
            # Who read our output (head, less) has had enough.
            sys.stderr.close()
            context.exit(0)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="registry-bridge")
def main() -> None:
    """Joins service registries in one catalog and serves it to Envoy.

    Exit codes: 0 done, 1 an error (the bridge cannot be reached, nothing was found), 2 the configuration or the
    command line will not do; plan and apply: 3 something is left to do.

    \b
    Example:
      registry-bridge check && registry-bridge run
    """


for command in (
    run,
    check,
    schema,
    show,
    explain,
    holds,
    freeze,
    plan,
    apply,
    withdraw,
    adopt,
    register,
    deregister,
    convert,
    envoy_bootstrap,
    adapters,
):
    main.add_command(command)
