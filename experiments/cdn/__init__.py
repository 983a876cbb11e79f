"""Experiments on content delivery networks (CDN): selection of replicas by DNS, scaling and fail-over."""
