"""Experiments on content delivery networks: DNS steering, scaling and fail-over."""
