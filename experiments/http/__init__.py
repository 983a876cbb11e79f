"""Experiments on HTTP/1.0, HTTP/1.1 and HTTP/2: page load times with serial, parallel and multiplexed transfers."""
