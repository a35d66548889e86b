from bridge.kit.extra import needs

needs("consul")
