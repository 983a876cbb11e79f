"""CDN request routing by DNS: map of client regions, choice of replicas, and health checks of replicas."""
