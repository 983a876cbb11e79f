"""Parameter sweeps (`lab7 sweep`): grids of runs over parameters, seeds and programs, and tables of their results."""
