"""Calibration: measurements read, set beside the work that they did, and fitted into catalog facts."""
