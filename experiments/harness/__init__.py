"""How an experiment is run, captured, judged, compared with theory and reported."""
