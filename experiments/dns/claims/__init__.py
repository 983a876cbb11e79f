"""Claims on DNS (D1 to D15), decided from captured queries and responses."""
