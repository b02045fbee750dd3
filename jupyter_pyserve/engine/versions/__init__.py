"""Model versions: how they are brought up, and what serves requests once they are."""
