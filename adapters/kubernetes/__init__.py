from bridge.kit.extra import needs

needs("kubernetes")
