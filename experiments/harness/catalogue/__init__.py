"""Catalogue of experiments, topologies and test matrices (all servers against all clients) of lab7 and of plug-ins.

Plug-ins are other installed Python distributions that declare entry points.
"""
