"""Static files over HTTP: representations, ranges and cache directives."""
