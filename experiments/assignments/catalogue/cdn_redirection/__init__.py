"""Assignment cdn-redirection: request routing of a CDN by DNS, replicas per region, and fetches from the origin."""
