"""Assignments (kind `network`) in which students work in an emulated network and hand in a capture of it."""
