"""Checks of course claims D1 to D15 (DNS) and V1 to V3 (DNSSEC), decided from captured queries and responses."""
