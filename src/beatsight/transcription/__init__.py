"""A song becomes a chart: onsets, labels, velocity, tempo and meter, each step callable alone."""
