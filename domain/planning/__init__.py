"""What was decided: plans and their history."""
