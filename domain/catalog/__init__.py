"""What exists: accelerators, nodes, models, number formats, serving engines; each number with its source."""
