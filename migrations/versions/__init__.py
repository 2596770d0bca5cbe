"""One module per change of the schema; none imports anything of ours, so that history stays what it was."""
