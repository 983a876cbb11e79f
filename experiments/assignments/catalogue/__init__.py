"""Catalogue of lab7's assignments, one package each: settings, questions with answer keys, or tests of a server.

In most assignments, students answer questions about a capture. In the others, they predict times, work in an emulated
network, or write a server, which is tested.
"""
