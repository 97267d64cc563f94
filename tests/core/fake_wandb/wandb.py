"""Stands in for the package wandb: what it is told goes to CALLS."""

CALLS = []


class Error(Exception):
    pass


class Settings:
    def __init__(self, **given):
        pass


class Run:
    def __init__(self):
        self.summary = {}

    def define_metric(self, name, step_metric):
        CALLS.append(("metric", name, step_metric))

    def log(self, values):
        CALLS.append(("log", values))

    def finish(self):
        CALLS.append(("finish", self.summary))


def init(settings, **given):
    if given["project"] == "nobody's":
        raise Error("no API key")
    CALLS.append(("init", given))
    return Run()
