import jax.numpy as jnp
import pytest

from baichuan_jax.train.finite import Diverged, Watch, check_finite
from baichuan_jax.train.state import TrainState

INF, NAN = float("inf"), float("nan")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([(1.0, 1.0), (1.0, INF), (NAN, NAN)], "the gradient norm is inf at step 2"),
        ([(NAN, 1.0)], "the loss is nan at step 1"),
    ],
)
def test_the_first_step_that_is_not_finite_is_named(values, said):
    watch = Watch()
    for step, (loss, norm) in enumerate(values, 1):
        watch.add(step, {"loss": jnp.float32(loss), "grad_norm": jnp.float32(norm), "domain_nll": jnp.float32(NAN)})
    with pytest.raises(Diverged, match=said) as found:
        watch.look()
    assert found.value.last_good == found.value.step - 2
    watch.look()


def test_steps_are_looked_at_once():
    watch = Watch()
    watch.add(1, {"loss": jnp.float32(0), "grad_norm": jnp.float32(0)})
    watch.look()
    assert not watch._unread


@pytest.mark.parametrize(
    ("params", "moments", "finite"),
    [(1.0, 1.0, True), (1e18, 1e38, True), (NAN, 1.0, False), (1.0, INF, False), (1e30, 1.0, False)],
)
def test_a_state_is_kept_only_if_it_is_finite_and_its_norm_is(params, moments, finite):
    state = TrainState(jnp.int32(7), {"w": jnp.full(3, params)}, {"nu": jnp.full(3, moments), "count": jnp.int32(7)})
    if finite:
        return check_finite(state)
    with pytest.raises(Diverged, match="the parameters are not finite at step 7"):
        check_finite(state)
