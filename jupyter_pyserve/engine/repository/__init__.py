"""From model repositories on disk to what is loaded, and back."""
