"""Check and repair of the machine (`lab7 doctor`): capabilities that lab7 requires, and steps that provide them."""
