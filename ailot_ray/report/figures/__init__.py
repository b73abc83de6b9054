"""Every figure, drawn once with matplotlib: PNG files, SVG for documents, and SVG with hover texts for the results page."""
