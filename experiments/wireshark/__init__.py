"""Preparation of a run for Wireshark (`lab7 wireshark`)."""
