"""A verdict told on the terminal, as JUnit XML and as one HTML file. Reads files only."""
