"""Assignments of the kind `network`: work in a captured network, graded from the packets."""
