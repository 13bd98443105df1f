"""Floating-point operations of the matrix products of a JAX function, counted in its program."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.extend


def operations_of(function: Callable[..., Any], *arguments: Any) -> float:
    """Two for every multiplication and addition; a scan's body counts once for every step.

    Everything but matrix products counts as nothing: norms, activations, the optimizer.
    """
    return _operations(jax.make_jaxpr(function)(*arguments).jaxpr)


def _operations(program: Any) -> float:
    total = 0.0
    for equation in program.eqns:
        if equation.primitive.name == "dot_general":
            total += _of_product(equation)
            continue
        times = equation.params["length"] if equation.primitive.name == "scan" else 1
        total += times * sum(map(_operations, _inner_programs(equation.params)))
    return total


def _of_product(equation: Any) -> float:
    (contracted, _), _ = equation.params["dimension_numbers"]
    summed = math.prod(equation.invars[0].aval.shape[axis] for axis in contracted)
    return 2.0 * summed * math.prod(equation.outvars[0].aval.shape)


def _inner_programs(parameters: dict[str, Any]) -> Iterator[Any]:
    for value in parameters.values():
        for inner in value if isinstance(value, tuple | list) else (value,):
            if isinstance(inner, jax.extend.core.ClosedJaxpr):
                yield inner.jaxpr
            elif isinstance(inner, jax.extend.core.Jaxpr):
                yield inner
