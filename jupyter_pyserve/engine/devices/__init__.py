"""Memory of clients on GPUs: who copies it, since the engine touches no GPU, and how requests wait for that."""
