"""Pure rules of the service: standard library only; clocks, randomness and ids come in as arguments."""
