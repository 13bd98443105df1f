"""Pages about finished work: Markdown and one HTML file, from result JSON alone."""
