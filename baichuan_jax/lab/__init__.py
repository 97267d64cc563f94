"""Reports and plots from the files the stages leave behind."""
