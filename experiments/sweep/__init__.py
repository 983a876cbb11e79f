"""Sweeps: grids of runs over parameters, seeds and replacements (`lab7 sweep`), and tables over their results."""
