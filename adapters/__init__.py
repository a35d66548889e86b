"""The adapters that ship with the registry bridge, one package a kind of registry."""
