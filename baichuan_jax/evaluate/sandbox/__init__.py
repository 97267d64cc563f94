"""Run programs that nobody has read, such as those of HumanEval, in a sandbox of the Linux kernel."""
