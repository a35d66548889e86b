"""The registry bridge: every registry's services in one catalog, served to Envoy and told to the other registries."""

__version__ = "0.1.0"
