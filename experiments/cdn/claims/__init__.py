"""Claims on content delivery networks (C1 to C8), decided from packets."""
