"""HTTP server on asyncio for all HTTP versions: connections, deadlines, request content and error pages."""
