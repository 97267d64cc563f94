"""What a user is told to install, in a checkout and without one."""

from baichuan_jax.core import extras
from baichuan_jax.core.extras import install_extra


def test_a_checkout_has_its_extras_by_name():
    assert install_extra("serve") == "pip install -e '.[serve]'"


def test_an_installed_package_names_the_packages_of_the_extra(monkeypatch):
    monkeypatch.setattr(extras, "INSTALLED", True)
    assert install_extra("serve") == "pip install 'starlette>=0.46' 'uvicorn>=0.34'"
    assert install_extra("tpu").startswith("pip install 'jax[tpu]")
