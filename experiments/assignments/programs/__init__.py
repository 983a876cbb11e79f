"""Program assignments: a student's server is tested in virtual time by an experiment, and earns points by stages."""
