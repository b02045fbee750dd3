"""Models that are plain typed functions: what their annotations say, and the model.py that is written from them."""
