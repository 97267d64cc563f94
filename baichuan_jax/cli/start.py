"""The entry point of the command: `cli.main`, in a process with large pages."""

from baichuan_jax.core.pages import use_huge_pages


def start() -> int:
    """Run the command line; what is imported before a process starts again is imported twice."""
    use_huge_pages()
    from baichuan_jax.cli.main import main

    return main()
