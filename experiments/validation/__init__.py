"""Validation of lab7's JSON output by the published JSON Schemas (`lab7 validate`)."""
