"""A folder as a registry: each service is a file, `shop.web.json`."""
