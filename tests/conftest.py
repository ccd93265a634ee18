"""Makes the root a place to import `tests` from, whichever test is run alone."""
