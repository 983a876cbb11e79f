"""CDN request routing by DNS: region map, choice of replicas, and health checks of replicas."""
