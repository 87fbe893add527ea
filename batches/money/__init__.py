"""What calls cost, may cost, and will probably cost."""
