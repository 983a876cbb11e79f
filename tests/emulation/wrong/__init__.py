"""Implementations with one deliberate fault each: the claim that the fault breaks has to fail, and no other."""
