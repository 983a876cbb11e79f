"""Static files of an HTTP origin server: representations, byte ranges and Cache-Control rules."""
