"""The files that captures come in: reading and writing them."""
