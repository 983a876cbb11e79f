"""Assignment http-basics: requests, responses, header fields, connections and status codes of HTTP/1.1."""
