"""Examination of a machine, and its repair: what lab7 needs or can use, and the steps that supply it."""
