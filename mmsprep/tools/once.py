"""Properties that take long, worked out once for each object.

Comes in: a method. Goes out: its value, kept with the object. Never: a wait for another object's: until Python 3.12 one
lock of :class:`functools.cached_property` holds for all objects, so that threads which look at a picture each work one
after the other (measured, six photographs on two cores: a tenth of the time).
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, Self, TypeVar, overload

_Value = TypeVar("_Value")


class once(cached_property[_Value]):  # noqa: N801 - it is written as what it extends is
    """As :class:`functools.cached_property` is from Python 3.12 on: two threads that ask the same object may both
    work its value out."""

    @overload
    def __get__(self, instance: None, owner: type[Any] | None = None) -> Self: ...
    @overload
    def __get__(self, instance: object, owner: type[Any] | None = None) -> _Value: ...

    def __get__(self, instance: object | None, owner: type[Any] | None = None) -> Self | _Value:
        if instance is None:
            return self
        # The property itself is asked only as long as the object has no value of this name.
        assert self.attrname is not None
        value = instance.__dict__[self.attrname] = self.func(instance)
        return value
