"""Export of an experiment's results and captures to the formats of other programs (`lab7 export`)."""
