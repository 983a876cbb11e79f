"""Catalogue of lab7's assignments, one package each: settings, question texts, and answer keys or tests of programs."""
