"""Assignment http-prediction: students predict page load times of HTTP/1.0 and HTTP/1.1, which are then measured."""
