"""Tests of sweeps: grid, hashes, order, backlog, table, intervals, and the sweep with an engine in memory."""
