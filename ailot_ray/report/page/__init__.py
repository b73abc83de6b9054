"""The results page: what stores hold, live in a browser or as one file to share. Reads stores only, and needs no torch."""
