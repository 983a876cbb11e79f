"""Claims on HTTP (H1 to H14, K1 to K3), decided from requests and responses."""
