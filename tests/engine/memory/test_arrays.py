from cloudseg_ops.engine.memory.arrays import empty


def test_large_arrays_behave_like_small_ones() -> None:
    for shape in ((3, 5, 2), (5000, 5000, 3)):
        array = empty(shape, "uint8")
        assert array.shape == shape
        assert array.dtype == "uint8"
        assert array.flags.writeable
        assert array.flags.c_contiguous
        array[-1] = 7
        assert array[-1].min() == 7
    assert empty((2, 3), "float32").dtype == "float32"
