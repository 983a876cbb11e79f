"""Descriptions of topologies: YAML files that describe one, and diagrams of one (SVG, Mermaid, DOT)."""
