# What a bridge may that reads the services of a datacenter, and nothing more:
#   consul acl policy create -name registry-bridge-read -rules @read.hcl
#   consul acl token create -description registry-bridge -policy-name registry-bridge-read
# Where it is to read some services only: service_prefix "shop-", or service "web" one by one.
service_prefix "" {
  policy     = "read"
  intentions = "deny"
}
node_prefix "" {
  policy = "read"
}
key_prefix "registry-bridge/claims/" { # by which it knows which bridges are no more; without it what those left is read
  policy = "read"
}
