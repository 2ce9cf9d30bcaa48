"""Long tests that `make soak` runs."""
