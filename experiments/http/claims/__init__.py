"""Claims on HTTP (H1 to H14, K1 to K3), decided from captured requests and responses."""
