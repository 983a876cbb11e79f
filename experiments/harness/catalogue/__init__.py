"""Catalogue of the experiments, interoperability matrices and topologies of lab7 and of installed plug-in packages."""
