"""Assignment http-timing: page load time in round trips, with persistent, parallel and pipelined connections."""
