"""Export of a run to the formats of other programs (`lab7 export`)."""
