# What a bridge may besides read.hcl that also writes, as `owner: prod`, the service "ledger". Put your owner in the place
# of prod, and what your exports write in that of ledger: one block for each name, or a service_prefix.
#   consul acl policy create -name registry-bridge-write -rules @write.hcl
#   consul acl token create -policy-name registry-bridge-read -policy-name registry-bridge-write
node "registry-bridge-prod" { # on which its instances stand
  policy = "write"
}
node_prefix "registry-bridge-prod-" { # and on these from the 501st on; without it say `nodes: 1`
  policy = "write"
}
service "ledger" {
  policy     = "write"
  intentions = "deny"
}
key_prefix "registry-bridge/claims/prod/" { # by which bridges tell each other apart
  policy = "write"
}
