"""A prior of maps: what molecules look like in three dimensions, asked once for the mean of a map."""
