"""The golden cases, asked of a real Triton and of this server side by side (`make differential`)."""
