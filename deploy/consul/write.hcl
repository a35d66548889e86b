# What a bridge may besides read.hcl that writes there too:
#   consul acl policy create -name registry-bridge-write -rules @write.hcl
# The names that it gives to services: service_prefix "shop-", or service "web" one by one, where it exports some only.
service_prefix "" {
  policy     = "write"
  intentions = "deny"
}
# Its own node: registry-bridge-OWNER, or the `node:` of the export.
node_prefix "registry-bridge-" {
  policy = "write"
}
# Its claims; and the lease and the decisions of `leader: {kind: consul}`.
key_prefix "registry-bridge/" {
  policy = "write"
}
