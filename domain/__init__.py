"""What Tonnage knows: the catalog, the engine and the life of plans. No I/O, no clock, no randomness."""
