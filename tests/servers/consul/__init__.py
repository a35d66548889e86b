"""A real Consul for tests: agents in server mode on loopback, with ACLs that deny what is not allowed.

Fixtures (`tests/servers/consul/conftest.py`):
    standing   one `Agent` for the whole session; share it, never stop it, and stay with names of your own
    own        one for this test alone: kill, pause, wipe, save and restore it
    three      three servers that elect a leader
    hand       somebody with every right in `standing`, who registers and looks

`server` is the processes, `hand` a plain client that knows nothing of the adapter, `observing` a bridge's own eyes.
"""
