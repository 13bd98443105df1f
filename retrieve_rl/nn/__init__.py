"""Network parts that both papers are built from."""
