"""Experiments on content delivery networks (CDN): request routing to replicas by DNS, scaling, and fail-over."""
