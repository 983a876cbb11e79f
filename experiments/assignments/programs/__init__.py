"""Assignments in which students write a server: tests of the server with scripted clients, and points per stage.

The tests run in an emulated network and are decided from its packet capture.
"""
