"""Assignments of the kind `network`: students work in an emulated network, and their captured packets are graded."""
