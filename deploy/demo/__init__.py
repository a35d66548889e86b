"""The bridge, a real Envoy and six sample servers that stand for VMs, on one machine."""
