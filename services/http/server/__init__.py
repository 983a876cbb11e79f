"""HTTP server on asyncio: connections, deadlines, request bodies and error pages."""
