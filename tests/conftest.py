"""Makes the root a place to import `tests` from, whichever test is run alone."""

import gc

# Graphs and models are many objects that stay: to look through all of them as often as Python does
# takes nearly a tenth of the time of a run.
gc.set_threshold(100_000, 20, 20)
