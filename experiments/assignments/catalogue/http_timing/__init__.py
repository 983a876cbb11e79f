"""Assignment http-timing: persistent and pipelined connections, round trips and the time of a page load."""
