"""Catalogue of names: experiments, matrices and topologies of lab7 and of other distributions."""
