"""Claims on HTTP caching (W1 to W8), decided from both sides of a proxy."""
