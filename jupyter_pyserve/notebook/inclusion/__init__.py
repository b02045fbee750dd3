"""What a model's cell uses of other cells: found in the text, resolved in the kernel, written above the cell."""
