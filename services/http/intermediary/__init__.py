"""An HTTP intermediary: what it forwards and how, its connections to origins, its tunnels, and its cache at work.

The rules are plain functions (routes.py, forwarding.py); the rest moves octets on asyncio.
"""
