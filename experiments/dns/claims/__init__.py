"""Claims on DNS (statements of the course: D1 to D15, V1 to V3), decided from captured queries and responses."""
