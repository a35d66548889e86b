# What a bridge may besides read.hcl and write.hcl that is one of several replicas, of which one writes:
# `leader: {kind: consul, token_file: consul-token}`. The key is that of `leader.key`; KEY-decisions keeps operators' words.
#   consul acl policy create -name registry-bridge-lead -rules @lead.hcl
key_prefix "registry-bridge/leader/registry-bridge" {
  policy = "write"
}
