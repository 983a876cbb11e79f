"""A mail client that is not lab7's: the standard library's."""
