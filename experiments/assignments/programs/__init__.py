"""Program assignments: a student's server is tested with scripted clients, and earns points for each passed stage.

The tests run in an emulated network and are decided from its packet capture.
"""
