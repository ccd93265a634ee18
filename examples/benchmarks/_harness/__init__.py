"""What the benchmarks share: arguments and tables, workers, and contestants of two kinds."""
