"""What a pull does: plan, compare, fetch, pack."""
