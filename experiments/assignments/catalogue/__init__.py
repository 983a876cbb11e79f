"""Catalogue of assignments: one package each, with its settings, question texts and question functions."""
