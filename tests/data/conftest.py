from tests.jobs.cluster import partition

__all__ = ["partition"]
