"""Free ports on loopback, below those that the system gives to clients."""

import random
import socket

_choice = random.Random()
_given: set[int] = set()  # in this process, where some may not be bound yet


def free_port(host: str = "127.0.0.1") -> int:
    """A TCP port between 20000 and 32000 that nobody listens on, another each time; OSError when none is found."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for _ in range(100):
        port = _choice.randrange(20_000, 32_000)
        if port in _given:
            continue
        with socket.socket(family, socket.SOCK_STREAM) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                sock.bind((host, port))
            except OSError:
                continue
            _given.add(port)
            return port
    raise OSError(f"no free port on {host} between 20000 and 32000 in a hundred tries")
