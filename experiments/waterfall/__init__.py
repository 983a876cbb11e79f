"""Waterfall diagrams of measured times, such as page loads: measured and predicted parts, and a bar per request."""
