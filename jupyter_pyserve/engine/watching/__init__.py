"""What the engine shows of itself to those who watch: sampled figures, and what has changed since they last looked."""
