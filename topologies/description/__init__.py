"""Descriptions of topologies: YAML files from which a topology is built, and diagrams of it (SVG, Mermaid, DOT)."""
