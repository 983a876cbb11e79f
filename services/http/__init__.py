"""HTTP: a version-neutral message model, the HTTP/1 codec, an origin server and a page-loading client."""
