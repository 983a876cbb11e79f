"""Program assignments: a student's server takes a role of an experiment in virtual time, and earns points by stages."""
