"""Tests of labs that are exchanged with Kathara, containerlab and Shadow."""
