"""Errors, named for the reaction they ask for; the message tells the operator what and where.

A message reads `place: what is wrong; what to do`, for example
`inventory vms: vms.yaml:12: services[3].ports.http: 99999 is not between 1 and 65535`.
"""


class BridgeError(Exception):
    """Any error of the bridge that an operator is meant to read."""


class ConfigError(BridgeError):
    """The operator's input will not do: tell them, exit 2; while running, the old one stays in force."""


class Unavailable(BridgeError):
    """A registry cannot be read or written now: keep the last good view, back off, try again."""


class Denied(BridgeError):
    """Credentials do not suffice: keep serving, alarm, try slowly.

    `whole`: for anything at all; False where they fall short of this one thing (a namespace, a verb) and others go on.
    """

    def __init__(self, message: str, *, whole: bool = True) -> None:
        super().__init__(message)
        self.whole = whole


class Conflict(BridgeError):
    """Somebody else moved what was to be replaced: observe again."""


class Rejected(BridgeError):
    """This one record will not do: park its content until it changes, and show it."""
