"""How the time of a profile is divided between kernels."""

import pytest

from benchmarks.gpu.profiling import covered, kind_of, summarize


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("sm90_xmma_fprop_implicit_gemm_bf16bf16_bf16f32_f32_nhwckrsc_nhwc_tilesize128x128x64", "conv"),
        ("void cutlass__5x_cudnn::Kernel<cutlass_tensorop_bf16_s16816fprop_optimized_bf16>", "conv"),
        ("void cudnn::ops::nchwToNhwcKernel<__nv_bfloat16, __nv_bfloat16, float, false, true>", "layout"),
        ("Memcpy HtoD (Pinned -> Device)", "copy"),
        ("void at::native::vectorized_elementwise_kernel<4, at::native::clamp_min_kernel>", "elementwise"),
        ("void at::native::(anonymous namespace)::max_pool_forward_nhwc<c10::BFloat16>", "elementwise"),
        ("something_new", "other"),
    ],
)
def test_kernels_are_classified_by_name(name: str, kind: str) -> None:
    assert kind_of(name) == kind


def test_overlapping_spans_count_once() -> None:
    assert covered([(5.0, 6.0), (0.0, 2.0), (1.0, 3.0), (1.5, 2.5)]) == 4.0
    assert covered([]) == 0


def test_idle_time_is_not_covered_by_kernels() -> None:
    spans = [("fprop", (0.0, 400.0)), ("Memcpy HtoD", (300.0, 500.0)), ("fprop", (1000.0, 1200.0))]
    found = summarize(spans, wall=2000.0, batches=2)
    assert found["milliseconds"] == {"conv": 0.3, "copy": 0.1, "idle": 0.65}
    assert found["shares"]["idle"] == pytest.approx(0.65)
    assert found["top"][0] == {"name": "fprop", "milliseconds": 0.3, "calls": 1.0}
