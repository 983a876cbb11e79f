"""Catalogue of the experiments, test matrices and topologies of lab7 and of installed plug-in packages."""
