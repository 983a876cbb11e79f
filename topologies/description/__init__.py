"""Descriptions of topologies: YAML files that describe one, and drawings of one (SVG, Mermaid, DOT)."""
