"""Ensembles: versions whose requests become requests of their members."""
