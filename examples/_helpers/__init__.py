"""What the examples share. A script finds it because it lies beside the script."""
