"""HTML reports and plots of results."""
