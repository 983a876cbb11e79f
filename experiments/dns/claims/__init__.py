"""Claims on DNS (D1 to D15), decided from queries and responses."""
