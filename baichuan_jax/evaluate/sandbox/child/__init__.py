"""The inside of the sandbox: a process that drops every privilege and then runs a program.

Import only the standard library here: the program can reach every loaded module.
"""
