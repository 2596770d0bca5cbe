"""The contract in Python: code generated from the protos beside it, never edited."""
