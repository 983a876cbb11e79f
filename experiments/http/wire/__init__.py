"""Parsers of captured HTTP/1 and HTTP/2 traffic: messages, requests with their responses, and page loads."""
