"""Page-load client: parser of HTML links, HTTP connections, page-load strategies, and timings."""
