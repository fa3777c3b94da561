"""The steps, one verb a file. Each takes and returns plain values and leaves its file whole or not at all."""
