"""What follows from the catalog: precision, memory, deployment."""
