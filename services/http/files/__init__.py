"""Static files: representations, byte ranges and Cache-Control rules."""
