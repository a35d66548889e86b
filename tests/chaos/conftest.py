"""The worked adapter is a distribution of its own, whose tests run where it is installed."""

collect_ignore = ["worked_adapter"]
