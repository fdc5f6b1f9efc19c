"""Loading documents."""
