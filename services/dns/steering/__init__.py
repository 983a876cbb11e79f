"""CDN request routing by DNS: region map, placement, and health checks of replicas."""
